#include "textflag.h"

// func prefetch(top uintptr)
TEXT ·prefetch(SB), NOSPLIT, $0-8
	MOVQ top+0(FP), AX
	PREFETCHT0 (AX)
	PREFETCHT0 64(AX)
	PREFETCHT0 128(AX)
	PREFETCHT0 192(AX)
	PREFETCHT0 256(AX)
	PREFETCHT0 320(AX)
	PREFETCHT0 -64(AX)
	PREFETCHT0 -128(AX)
	PREFETCHT0 -192(AX)
	RET

// func prefetchTo(from, to uintptr)
TEXT ·prefetchTo(SB), NOSPLIT, $0-16
	MOVQ from+0(FP), AX
	MOVQ to+8(FP), BX
	JMP  test

line:
	PREFETCHT0 (AX)
	ADDQ       $64, AX

test:
	CMPQ AX, BX
	JCS  line
	RET
