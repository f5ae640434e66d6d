// Command ferretdb is the MongoDB of machines where no mongod can be had: FerretDB 1.24, embedded, over PostgreSQL.
//
// Settings: FERRETDB_POSTGRESQL_URL and FERRETDB_LISTEN_ADDR (host:port); or FERRETDB_LISTEN_TLS with
// FERRETDB_LISTEN_TLS_CERT_FILE, _KEY_FILE and, where clients have to show certificates, _CA_FILE. FerretDB keeps its
// state in the database alone: the embedded package writes no state directory and sends no telemetry.
package main

import (
	"context"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{
			TCP:         os.Getenv("FERRETDB_LISTEN_ADDR"),
			TLS:         os.Getenv("FERRETDB_LISTEN_TLS"),
			TLSCertFile: os.Getenv("FERRETDB_LISTEN_TLS_CERT_FILE"),
			TLSKeyFile:  os.Getenv("FERRETDB_LISTEN_TLS_KEY_FILE"),
			TLSCAFile:   os.Getenv("FERRETDB_LISTEN_TLS_CA_FILE"),
		},
		Logger:        slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Handler:       "postgresql",
		PostgreSQLURL: os.Getenv("FERRETDB_POSTGRESQL_URL"),
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := server.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
