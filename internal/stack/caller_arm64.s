#include "textflag.h"

// func Caller() uintptr
TEXT ·Caller(SB), NOSPLIT, $0-8
	MOVD (R29), R0 // the frame of who has called the caller
	MOVD 8(R0), R0
	SUB $1, R0
	MOVD R0, ret+0(FP)
	RET
