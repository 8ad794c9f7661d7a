// Command tessera appends entries to a Tessera POSIX log in its own process and prints one line of JSON: rate and
// latencies until an entry is durably sequenced or, with -published, until a signed checkpoint covers it. It is the peer
// of `append_load`: writers in a closed loop, entries as long as our leaves, no HTTP in between.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	directory := flag.String("directory", "", "where the log is made")
	writers := flag.Int("writers", 64, "writers, each with one entry under way")
	batch := flag.Uint("batch", 64, "entries of a batch at most")
	age := flag.Duration("age", 2*time.Millisecond, "how long a batch waits for more")
	entries := flag.Int64("entries", 20_000, "entries to append at most")
	duration := flag.Duration("duration", 10*time.Second, "how long to append at most")
	length := flag.Int("length", 230, "bytes of an entry")
	published := flag.Bool("published", false, "wait for the checkpoint that covers an entry")
	flag.Parse()
	ctx := context.Background()
	private, _, err := note.GenerateKey(rand.Reader, "tlog.example/log")
	check(err)
	signer, err := note.NewSigner(private)
	check(err)
	driver, err := posix.New(ctx, posix.Config{Path: *directory})
	check(err)
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(100*time.Millisecond).
		WithBatching(*batch, *age)
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options)
	check(err)
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 10*time.Millisecond)

	var next atomic.Int64
	var done sync.WaitGroup
	taken := make([][]time.Duration, *writers)
	begun := time.Now()
	for i := range taken {
		done.Add(1)
		go func() {
			defer done.Done()
			for next.Add(1) <= *entries && time.Since(begun) < *duration {
				entry := []byte(strings.Repeat("x", *length-32) + rand.Text() + rand.Text())[:*length]
				from := time.Now()
				future := appender.Add(ctx, tessera.NewEntry(entry))
				if *published {
					_, _, err := awaiter.Await(ctx, future)
					check(err)
				} else {
					_, err := future()
					check(err)
				}
				taken[i] = append(taken[i], time.Since(from))
			}
		}()
	}
	done.Wait()
	elapsed := time.Since(begun)
	check(shutdown(ctx))
	all := slices.Concat(taken...)
	slices.Sort(all)
	at := func(part float64) float64 {
		return float64(all[int(part*float64(len(all)-1))].Microseconds()) / 1000
	}
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"entries": len(all),
		"rate":    float64(len(all)) / elapsed.Seconds(),
		"p50_ms":  at(0.5),
		"p99_ms":  at(0.99),
	}))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
