// Package tinyiotest tests programs of package tinyio under many schedules.
//
// Coroutines of a loop switch only where they wait, and which of those that are ready goes on is left to the loop. It takes
// the one that became ready first, so a test sees one interleaving, always the same. In the field another one comes up when a
// reply takes longer than it did in the test. [Explore] runs a program under schedule after schedule, in virtual time, until
// one of them breaks it, and says in a line how to run that one again.
//
//	func TestTransfer(t *testing.T) {
//		tinyiotest.Explore(t, func(co *tinyio.Co) error {
//			bank := newBank()
//			if err := co.Wait(bank.transfer(10), bank.transfer(20)); err != nil {
//				return err
//			}
//			return bank.check()
//		})
//	}
//
// With [Faults] it also has things go wrong at each place in turn. What must hold when everything has ended is for [AtEnd].
package tinyiotest
