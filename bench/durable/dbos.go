package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite"
)

// dbosSystem is DBOS on SQLite.
type dbosSystem struct {
	ctx dbos.Context
	db  *sql.DB
	run dbos.Workflow[int, int]
}

// openDBOS opens it with a level of SQLite's PRAGMA synchronous: FULL syncs each step, as the journal does; NORMAL is what DBOS takes unless it
// is told otherwise, and syncs now and then.
func openDBOS(synchronous string) func(ctx context.Context, p *plan, dir string, w *work) (system, error) {
	return func(ctx context.Context, _ *plan, dir string, w *work) (system, error) {
		dsn := "file:" + filepath.Join(dir, "dbos.sqlite") + "?_txlock=immediate&_pragma=busy_timeout(60000)&_pragma=foreign_keys(ON)&_pragma=journal_mode(WAL)&_pragma=synchronous(" + synchronous + ")"
		db, err := sql.Open("sqlite", dsn)
		if err != nil {
			return nil, err
		}
		db.SetMaxOpenConns(8) // as DBOS does
		db.SetMaxIdleConns(4)
		c, err := dbos.NewContext(ctx, dbos.Config{AppName: "bench", SQLiteSystemDB: db, ApplicationVersion: "1", ExecutorID: "1", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		s := &dbosSystem{ctx: c, db: db}
		s.run = func(c dbos.Context, naps int) (int, error) {
			step := func(context.Context) (int64, error) { return w.step(), nil }
			for i := 0; naps == 0 || i < naps; i++ {
				if _, err := dbos.RunAsStep(c, step, dbos.WithStepName("step")); err != nil {
					return i, err
				}
			}
			w.asleep.Add(1) // in a replay too
			_, err := dbos.Sleep(c, time.Hour)
			return naps, err
		}
		dbos.RegisterWorkflow(c, s.run, dbos.WithWorkflowName("work"))
		if err := dbos.Launch(c); err != nil {
			return nil, errors.Join(err, db.Close())
		}
		return s, nil
	}
}

func (s *dbosSystem) start(_ context.Context, id string, naps int) error {
	_, err := dbos.RunWorkflow(s.ctx, s.run, naps, dbos.WithWorkflowID(id))
	return err
}

func (s *dbosSystem) close(context.Context) error {
	dbos.Shutdown(s.ctx, time.Second)
	return s.db.Close()
}
