package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// repository is the repository that all tags are in, as clients name it; `load.alt` is an upstream of the
// configuration, and upstream's own name for it is `app`.
const (
	repository = "load.alt/app"
	upstream   = "app"
	accept     = "application/vnd.oci.image.manifest.v1+json"
)

// tag is what was answered of one tag. Its lock is held over a request, so that a tag never moves under one.
type tag struct {
	mu     sync.Mutex
	name   string
	known  bool
	digest string
	index  int64
	moved  bool
}

// answer is what the service said of a tag.
type answer struct {
	status           int
	recorded, served string
	index            int64
}

// ask requests a manifest by tag. An error means that no complete head of an answer arrived.
func ask(client *http.Client, url, name string) (answer, error) {
	request, err := http.NewRequest(http.MethodGet, url+"/v2/"+repository+"/manifests/"+name, nil)
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Accept", accept)
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, readError := io.ReadAll(response.Body)
	said := answer{
		status:   response.StatusCode,
		recorded: response.Header.Get("Tlog-Recorded-Digest"),
		served:   response.Header.Get("Docker-Content-Digest"),
		index:    -1,
	}
	if index, err := strconv.ParseInt(response.Header.Get("Tlog-Logindex"), 10, 64); err == nil {
		said.index = index
	}
	// A body that the kill cut off leaves the promise of its head standing.
	if readError == nil && said.status == http.StatusOK {
		digest := sha256.Sum256(body)
		if found := "sha256:" + hex.EncodeToString(digest[:]); found != said.served {
			return said, fmt.Errorf("%s: the body has the digest %s, its head says %s", name, found, said.served)
		}
	}
	if said.status != http.StatusOK && said.status != http.StatusForbidden {
		return said, fmt.Errorf("%s: status %d: %s", name, said.status, body)
	}
	return said, nil
}

// accept compares an answer with what was answered before, and learns from a first one.
func (t *tag) accept(said answer) error {
	if !t.known {
		if said.status != http.StatusOK || said.index < 0 || said.recorded != said.served {
			return fmt.Errorf("%s: first answer is %+v", t.name, said)
		}
		t.known, t.digest, t.index = true, said.recorded, said.index
		return nil
	}
	if said.recorded != t.digest || said.index != t.index {
		return fmt.Errorf("%s: was %s at index %d, is now %+v", t.name, t.digest, t.index, said)
	}
	if t.moved && said.status != http.StatusForbidden {
		return fmt.Errorf("%s: moved upstream and is not refused: %+v", t.name, said)
	}
	if !t.moved && (said.status != http.StatusOK || said.served != t.digest) {
		return fmt.Errorf("%s: did not move and is not served: %+v", t.name, said)
	}
	return nil
}

// load sends requests from many workers until so many were answered; then it calls kill, and returns when all
// workers have seen their connections fail.
func (r *run) load(round, answers, workers int, kill func() error) error {
	const newTags = 8
	var (
		answered atomic.Int64
		killed   atomic.Bool
		next     atomic.Int64
		wait     sync.WaitGroup
		once     sync.Once
		enough   = make(chan struct{})
		failures = make(chan error, workers)
	)
	// Every tag is handed out twice: two workers that ask for the same new tag must hear the same.
	fresh := func() *tag {
		number := next.Add(1) / 2
		return r.tag(fmt.Sprintf("r%d-%d", round, number))
	}
	for worker := range workers {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(r.seed, uint64(round*workers+worker)))
			client := newClient()
			defer client.CloseIdleConnections()
			for !killed.Load() {
				var err error
				switch choice := random.IntN(newTags + 4); {
				case choice < newTags:
					err = r.pull(client, fresh(), false)
				case choice == newTags:
					err = r.pull(client, r.old(random), true)
				case choice == newTags+1:
					err = r.note()
				default:
					err = r.pull(client, r.old(random), false)
				}
				if err != nil {
					if !killed.Load() {
						failures <- err
						once.Do(func() { close(enough) })
					}
					return
				}
				if answered.Add(1) >= int64(answers) {
					once.Do(func() { close(enough) })
				}
			}
		})
	}
	var slow error
	select {
	case <-enough:
	case <-time.After(startLimit):
		slow = fmt.Errorf("only %d of %d requests were answered within %s", answered.Load(), answers, startLimit)
	}
	killed.Store(true)
	err := kill()
	wait.Wait()
	close(failures)
	if failure, failed := <-failures; failed {
		return failure
	}
	if err == nil {
		err = slow
	}
	r.requests += answered.Load()
	return err
}

// pull asks for a tag, after having moved it upstream where move says so, and compares the answer.
func (r *run) pull(client *http.Client, t *tag, move bool) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if move && t.known {
		r.registry.Move(upstream, t.name)
		t.moved = true
	}
	said, err := ask(client, r.service.url, t.name)
	if err != nil {
		return err
	}
	return t.accept(said)
}

// note fetches the published checkpoint and remembers it.
func (r *run) note() error {
	head, err := r.log().Checkpoint(r.verifier)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if root, found := r.published[head.Tree.N]; found && root != head.Tree.Hash {
		return fmt.Errorf("two checkpoints of size %d: roots %s and %s", head.Tree.N, root, head.Tree.Hash)
	}
	r.published[head.Tree.N] = head.Tree.Hash
	return nil
}

// tag finds a tag by name; old finds a random one of earlier rounds.
func (r *run) tag(name string) *tag {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.tags[name]
	if found == nil {
		found = &tag{name: name}
		r.tags[name] = found
		r.order = append(r.order, found)
	}
	return found
}

func (r *run) old(random *rand.Rand) *tag {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.earlier == 0 {
		return nil
	}
	return r.order[random.IntN(r.earlier)]
}

func newClient() *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
}

// trees gives the published checkpoints as trees.
func (r *run) trees() []tlog.Tree {
	r.mu.Lock()
	defer r.mu.Unlock()
	trees := make([]tlog.Tree, 0, len(r.published))
	for size, root := range r.published {
		trees = append(trees, tlog.Tree{N: size, Hash: root})
	}
	return trees
}
