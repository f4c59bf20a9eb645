#include "textflag.h"

// func prefetch(top uintptr)
TEXT ·prefetch(SB), NOSPLIT, $0-8
	MOVD top+0(FP), R0
	PRFM (R0), PLDL1KEEP
	PRFM 64(R0), PLDL1KEEP
	PRFM 128(R0), PLDL1KEEP
	PRFM 192(R0), PLDL1KEEP
	PRFM 256(R0), PLDL1KEEP
	PRFM 320(R0), PLDL1KEEP
	SUB $192, R0
	PRFM (R0), PLDL1KEEP
	PRFM 64(R0), PLDL1KEEP
	PRFM 128(R0), PLDL1KEEP
	RET

// func prefetchTo(from, to uintptr)
TEXT ·prefetchTo(SB), NOSPLIT, $0-16
	MOVD from+0(FP), R0
	MOVD to+8(FP), R1
	B    test

line:
	PRFM (R0), PLDL1KEEP
	ADD  $64, R0

test:
	CMP R1, R0
	BLO line
	RET
