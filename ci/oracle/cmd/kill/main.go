// Command kill ends a service with SIGKILL under load, round after round, and checks after each that nothing it
// promised is lost: it starts again, every tag it ever answered has the same digest and index, and every checkpoint
// it ever published is a beginning of its log.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"tlogistry/ci/oracle/logcheck"
	"tlogistry/ci/oracle/registry"
)

// run is one run of many rounds.
type run struct {
	service  *service
	registry *registry.Registry
	seed     uint64
	verifier note.Verifier
	vkey     string
	requests int64

	mu        sync.Mutex
	tags      map[string]*tag
	order     []*tag
	earlier   int
	published map[int64]tlog.Hash
}

func main() {
	binary := flag.String("binary", "", "the program")
	config := flag.String("config", "", "its configuration, with an upstream `load.alt` at --registry")
	url := flag.String("url", "", "where it will answer, such as http://127.0.0.1:8080")
	listen := flag.String("registry", "", "address and port of the registry that this program is")
	output := flag.String("output", "", "file for what the service prints")
	rounds := flag.Int("rounds", 20, "how many times to kill")
	seed := flag.Uint64("seed", 0, "seed of everything random; 0 = from the time")
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	fmt.Printf("%d rounds, --seed %d\n", *rounds, *seed)
	if err := kill(*binary, *config, *url, *listen, *output, *rounds, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func kill(binary, config, url, listen, output string, rounds int, seed uint64) error {
	file, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	registry := registry.New()
	go func() { _ = http.Serve(listener, registry) }()

	r := &run{
		service:   &service{binary: binary, config: config, url: url, output: file},
		registry:  registry,
		seed:      seed,
		tags:      map[string]*tag{},
		published: map[int64]tlog.Hash{},
	}
	defer r.service.abandon()
	if err := r.service.start(); err != nil {
		return err
	}
	if r.verifier, r.vkey, err = r.log().Verifier(); err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 0))
	for round := 1; round <= rounds; round++ {
		if err := r.round(round, random); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		if round%10 == 0 || round == rounds {
			fmt.Printf("round %d: %d tags, %d checkpoints, %d requests\n",
				round, len(r.order), len(r.published), r.requests)
		}
	}
	if err := r.replay(); err != nil {
		return err
	}
	if err := r.service.stop(); err != nil {
		return err
	}
	return r.service.fsck()
}

// round loads, kills, checks, starts again and asks for everything that was promised.
func (r *run) round(round int, random *rand.Rand) error {
	answers, workers := 20+random.IntN(400), 4+random.IntN(44)
	if err := r.load(round, answers, workers, r.service.kill); err != nil {
		return err
	}
	if err := r.service.fsck(); err != nil {
		return err
	}
	// A start may be cut short as well, and must leave the next one possible.
	if random.IntN(4) == 0 {
		if err := r.service.spawn(); err != nil {
			return err
		}
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		if err := r.service.kill(); err != nil {
			return err
		}
	}
	if err := r.service.start(); err != nil {
		return err
	}
	if err := r.promises(random); err != nil {
		return err
	}
	r.earlier = len(r.order)
	return nil
}

// promises asks for every tag of this round and for some of earlier ones, and proves that every checkpoint that was
// published is a beginning of the log.
func (r *run) promises(random *rand.Rand) error {
	client := newClient()
	defer client.CloseIdleConnections()
	asked := append([]*tag(nil), r.order[r.earlier:]...)
	for range 100 {
		if old := r.old(random); old != nil {
			asked = append(asked, old)
		}
	}
	for _, t := range asked {
		if err := r.pull(client, t, false); err != nil {
			return fmt.Errorf("after the restart: %w", err)
		}
	}
	log := r.log()
	_, vkey, err := log.Verifier()
	if err != nil {
		return err
	}
	if vkey != r.vkey {
		return fmt.Errorf("the log's key was `%s`, is now `%s`", r.vkey, vkey)
	}
	head, err := log.Checkpoint(r.verifier)
	if err != nil {
		return err
	}
	for _, older := range r.trees() {
		if older.N > head.Tree.N {
			return fmt.Errorf("a checkpoint of size %d was published, the log now has %d", older.N, head.Tree.N)
		}
		if err := log.CheckConsistency(older, head.Tree); err != nil {
			return err
		}
	}
	return r.note()
}

// replay reads the whole log: each published checkpoint is a root of it, each answered tag is where its answer said,
// and neither a tag nor a move has two records.
func (r *run) replay() error {
	log := r.log()
	head, err := log.Checkpoint(r.verifier)
	if err != nil {
		return err
	}
	replayed, err := log.Replay(head.Tree)
	if err != nil {
		return err
	}
	for _, older := range r.trees() {
		root, err := replayed.RootAt(older.N)
		if err != nil {
			return err
		}
		if root != older.Hash {
			return fmt.Errorf("the log had the root %s at size %d, a published checkpoint says %s", root, older.N, older.Hash)
		}
	}
	records, moves := map[string]int64{}, map[string]int64{}
	for index, entry := range replayed.Entries {
		line, _, _ := strings.Cut(string(entry), "\n")
		words := strings.Split(line, " ")
		if words[0] == "moved" {
			if first, found := moves[line]; found {
				return fmt.Errorf("entry %d repeats entry %d: `%s`", index, first, line)
			}
			moves[line] = int64(index)
		}
		if words[0] != "tag" {
			continue
		}
		if len(words) != 4 {
			return fmt.Errorf("entry %d: `%s`", index, line)
		}
		name, tagName, digest := words[1], words[2], words[3]
		if first, found := records[name+":"+tagName]; found {
			return fmt.Errorf("%s:%s has two records, at %d and %d", name, tagName, first, index)
		}
		records[name+":"+tagName] = int64(index)
		t := r.tags[tagName]
		if t == nil || name != repository {
			return fmt.Errorf("entry %d records %s:%s, which nobody asked for", index, name, tagName)
		}
		if t.known && (t.digest != digest || t.index != int64(index)) {
			return fmt.Errorf("%s was answered with %s at %d, the log has %s at %d", tagName, t.digest, t.index, digest, index)
		}
	}
	known := 0
	for _, t := range r.order {
		if !t.known {
			continue
		}
		known++
		if _, found := records[repository+":"+t.name]; !found {
			return fmt.Errorf("%s was answered and is not in the log", t.name)
		}
	}
	fmt.Printf("replayed %d entries: %d tags answered, each recorded once and where its answer said; %d moves recorded, "+
		"each once; %d checkpoints published, each a beginning of the log\n",
		len(replayed.Entries), known, len(moves), len(r.published))
	return nil
}

func (r *run) log() *logcheck.Log {
	return logcheck.New(r.service.url+"/log", "")
}
