package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/resolver"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/tools/common/schema"
	sqltool "go.temporal.io/server/tools/sql"
)

// openStorage readies the database that the options name.
func openStorage(o options) (config.Persistence, error) {
	switch {
	case o.postgres != "":
		return openPostgres(o.postgres)
	case o.data != "":
		return openFile(o.data)
	default:
		return persistence(1, memory(), memory()), nil
	}
}

func persistence(shards int32, main, visibility *config.SQL) config.Persistence {
	return config.Persistence{
		DefaultStore:     "main",
		VisibilityStore:  "visibility",
		NumHistoryShards: shards,
		DataStores:       map[string]config.DataStore{"main": {SQL: main}, "visibility": {SQL: visibility}},
	}
}

func memory() *config.SQL {
	return &config.SQL{
		PluginName:        sqlite.PluginName,
		DatabaseName:      "devserver",
		MaxConns:          1,
		ConnectAttributes: map[string]string{"mode": "memory", "cache": "shared"},
	}
}

func openFile(name string) (config.Persistence, error) {
	// What is searched has a file of its own, so that it need not wait for its
	// turn with the one connection that each file has.
	visibility := name + ".visibility"
	p := persistence(1, file(name), file(visibility))
	err := createFile(name)
	if err == nil {
		err = createFile(visibility)
	}
	if err == nil {
		err = check(p)
	}
	if err != nil {
		return p, fmt.Errorf("--data %s: %w", name, err)
	}
	return p, nil
}

// file describes an SQLite file. A second connection would only earn
// SQLITE_BUSY; a second server is refused by the exclusive lock, since two
// would take the shards from each other.
func file(name string) *config.SQL {
	return &config.SQL{
		PluginName:   sqlite.PluginName,
		DatabaseName: name,
		MaxConns:     1,
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"busy_timeout": "3000",
			"locking_mode": "EXCLUSIVE",
			"journal_mode": "WAL",
			// The last moments may be lost with the power, not with the process.
			"synchronous": "NORMAL",
			"cache_size":  "-65536", // KiB, if negative: https://sqlite.org/pragma.html#pragma_cache_size
		},
	}
}

// createFile lays the schema into a new file under another name first: the
// schema is many statements, and a file with half of them would never start.
func createFile(name string) error {
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	draft := name + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := sqliteschema.SetupSchema(&config.SQL{
		PluginName:        sqlite.PluginName,
		DatabaseName:      draft,
		ConnectAttributes: map[string]string{"mode": "rwc", "synchronous": "OFF"},
	}); err != nil {
		return err
	}
	return os.Rename(draft, name)
}

// check reads from the databases, which also takes the lock of a file. The
// server would do the same, but say less clearly what is wrong.
func check(p config.Persistence) error {
	err := sql.VerifyCompatibleVersion(p, resolver.NewNoopResolver(), log.NewNoopLogger())
	if err != nil && strings.Contains(err.Error(), "SQLITE_BUSY") {
		return errors.New("the file is in use by another server")
	}
	return err
}

// openPostgres creates both databases and brings their schemas up to date.
// Visibility has its own, named like the first one with "_visibility".
func openPostgres(url string) (config.Persistence, error) {
	target, err := pgconn.ParseConfig(url)
	if err != nil {
		return config.Persistence{}, fmt.Errorf("--postgres: %w", err)
	}
	if strings.HasPrefix(target.Host, "/") {
		return config.Persistence{}, errors.New("--postgres: want host and port, not a socket's folder")
	}
	if target.Database == "" {
		target.Database = "temporal"
	}
	main := postgres(target, target.Database)
	visibility := postgres(target, target.Database+"_visibility")
	if err := errors.Join(
		migrate(main, "postgresql/v12/temporal"),
		migrate(visibility, "postgresql/v12/visibility"),
	); err != nil {
		return config.Persistence{}, fmt.Errorf("--postgres: %w", err)
	}
	return persistence(4, main, visibility), nil
}

func postgres(c *pgconn.Config, database string) *config.SQL {
	mode := "disable"
	if c.TLSConfig != nil && len(c.Fallbacks) == 0 {
		mode = "require"
	}
	return &config.SQL{
		PluginName:        postgresql.PluginNamePGX,
		ConnectProtocol:   "tcp",
		ConnectAddr:       net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))),
		User:              c.User,
		Password:          c.Password,
		DatabaseName:      database,
		ConnectAttributes: map[string]string{"sslmode": mode},
		MaxConns:          20,
		MaxIdleConns:      20,
	}
}

func migrate(db *config.SQL, schemaName string) error {
	logger := log.NewNoopLogger()
	admin := *db // DoCreateDatabase overwrites the name
	if err := sqltool.DoCreateDatabase(&admin, "postgres", logger); err != nil {
		return fmt.Errorf("create database %s: %w", db.DatabaseName, err)
	}
	conn, err := sqltool.NewConnection(db, logger)
	if err != nil {
		return fmt.Errorf("open database %s: %w", db.DatabaseName, err)
	}
	defer conn.Close()
	if _, err := conn.ReadSchemaVersion(); err != nil {
		setup := &schema.SetupConfig{InitialVersion: "0.0"}
		if err := schema.NewSetupSchemaTask(conn, setup, logger).Run(); err != nil {
			return fmt.Errorf("set up database %s: %w", db.DatabaseName, err)
		}
	}
	update := &schema.UpdateConfig{DBName: db.DatabaseName, SchemaName: schemaName}
	if err := schema.NewUpdateSchemaTask(conn, update, logger).Run(); err != nil {
		return fmt.Errorf("update database %s: %w", db.DatabaseName, err)
	}
	return nil
}
