#include "textflag.h"

// func Caller() uintptr
TEXT ·Caller(SB), NOSPLIT, $0-8
	MOVQ (BP), AX // the frame of who has called the caller
	MOVQ 8(AX), AX
	DECQ AX
	MOVQ AX, ret+0(FP)
	RET
