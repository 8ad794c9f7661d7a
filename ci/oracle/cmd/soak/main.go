// soak pulls through a service for a while from three registries that it is itself: one that misbehaves in every way,
// one that is well, and one that never answers. It ends with 1 if a wrong byte was served, if the service's memory or
// files grew, or if those who pull from the healthy registry had to wait for the stuck one.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	tags         = 200
)

func main() {
	service := flag.String("service", "", "URL of the service")
	pid := flag.Int("pid", 0, "its process")
	chaos := flag.String("chaos", "", "address of the registry that misbehaves, known as chaos.alt")
	healthy := flag.String("healthy", "", "address of the registry that is well, known as healthy.alt")
	stuck := flag.String("stuck", "", "address of the registry that never answers, known as stuck.alt")
	minutes := flag.Float64("minutes", 10, "how long")
	flag.Parse()
	bad := &registry{name: "chaos", misbehaves: true}
	serve(*chaos, bad)
	serve(*healthy, &registry{name: "healthy"})
	serve(*stuck, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	s := &soak{service: *service, pid: *pid, recorded: map[string]string{}}
	if !s.run(time.Duration(*minutes*float64(time.Minute)), bad) {
		os.Exit(1)
	}
}

func serve(address string, handler http.Handler) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(listener, handler)) }()
}

// registry has the tags t0 to t199 of every repository, and the one layer of each.
type registry struct {
	name       string
	misbehaves bool
	moved      [tags]atomic.Int64
	faults     atomic.Int64
	moves      atomic.Int64
}

func layer(registry, tag string, version int64) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("layer %s %s %d\n", registry, tag, version), 400))
}

func manifest(registry, tag string, version int64) []byte {
	bytes := layer(registry, tag, version)
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":%q,"size":%d}]}`,
		manifestType, digest([]byte("{}")), digest(bytes), len(bytes))
}

func digest(bytes []byte) string {
	sum := sha256.Sum256(bytes)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (r *registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	if len(parts) < 4 {
		fmt.Fprint(w, "{}")
		return
	}
	kind, what := parts[len(parts)-2], parts[len(parts)-1]
	body, mediaType := r.find(kind, what)
	if body == nil {
		http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", digest(body))
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.misbehaves && r.misbehave(w, body) {
		return
	}
	if request.Method == http.MethodGet {
		w.Write(body)
	}
}

// find gives a manifest by tag or digest, or a layer.
func (r *registry) find(kind, what string) ([]byte, string) {
	if number, err := strconv.Atoi(strings.TrimPrefix(what, "t")); err == nil && number < tags && kind == "manifests" {
		if r.misbehaves && rand.IntN(400) == 0 {
			r.moved[number].Add(1)
			r.moves.Add(1)
		}
		return manifest(r.name, what, r.moved[number].Load()), manifestType
	}
	for number := range tags {
		tag := "t" + strconv.Itoa(number)
		for version := range r.moved[number].Load() + 1 {
			if kind == "manifests" && digest(manifest(r.name, tag, version)) == what {
				return manifest(r.name, tag, version), manifestType
			}
			if kind == "blobs" && digest(layer(r.name, tag, version)) == what {
				return layer(r.name, tag, version), "application/octet-stream"
			}
		}
	}
	return nil, ""
}

// misbehave says whether it answered instead.
func (r *registry) misbehave(w http.ResponseWriter, body []byte) bool {
	fault := rand.IntN(100)
	if fault >= 30 {
		return false
	}
	r.faults.Add(1)
	switch {
	case fault < 5:
		w.Header().Set("Content-Length", "0")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case fault < 10:
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(500 + rand.IntN(5))
	case fault < 15:
		if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
			connection.(*net.TCPConn).SetLinger(0)
			connection.Close()
		}
	case fault < 20:
		w.Write(body[:len(body)/2])
		if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
			connection.Close()
		}
	case fault < 22:
		w.Write(append([]byte("X"), body[1:]...))
	default:
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		return false
	}
	return true
}

type soak struct {
	service  string
	pid      int
	mutex    sync.Mutex
	recorded map[string]string
	wrong    []string
	statuses sync.Map
}

func (s *soak) run(whole time.Duration, bad *registry) bool {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	end := time.Now().Add(whole)
	// For the first fifth nobody asks the registry that never answers.
	calm := time.Now().Add(whole / 5)
	var before, during times
	var group sync.WaitGroup
	worker := func(count int, pause time.Duration, from time.Time, work func()) {
		for range count {
			group.Go(func() {
				time.Sleep(time.Until(from))
				for time.Now().Before(end) {
					work()
					time.Sleep(pause)
				}
			})
		}
	}
	worker(12, 20*time.Millisecond, time.Now(), func() { s.pull(client, "chaos") })
	worker(4, 20*time.Millisecond, time.Now(), func() { s.layer(client) })
	worker(4, 10*time.Millisecond, time.Now(), func() {
		begin := time.Now()
		s.pull(client, "healthy")
		if begin.Before(calm) {
			before.add(time.Since(begin))
		} else {
			during.add(time.Since(begin))
		}
	})
	worker(32, 50*time.Millisecond, calm, func() { s.stuck(client) })
	time.Sleep(time.Until(calm))
	first := usage(s.pid)
	group.Wait()
	client.CloseIdleConnections()
	time.Sleep(2 * time.Second)
	last := usage(s.pid)
	s.statuses.Range(func(key, count any) bool {
		fmt.Printf("%-16s %d\n", key, count.(*atomic.Int64).Load())
		return true
	})
	fmt.Printf("faults %d, moves %d, tags known %d\n", bad.faults.Load(), bad.moves.Load(), len(s.recorded))
	calmTail, stuckTail := before.at(0.99), during.at(0.99)
	fmt.Printf("healthy registry: p99 %v before anybody was stuck, %v beside the stuck one\n", calmTail, stuckTail)
	fmt.Printf("memory %d kB then %d kB, open files %d then %d\n", first.memory, last.memory, first.files, last.files)
	good := true
	check := func(holds bool, format string, arguments ...any) {
		if !holds {
			good = false
			fmt.Printf("WRONG: "+format+"\n", arguments...)
		}
	}
	check(len(s.wrong) == 0, "%d answers, such as %q", len(s.wrong), s.wrong)
	check(bad.faults.Load() > 100 && bad.moves.Load() > 0, "the chaos was none")
	check(stuckTail <= 3*calmTail+20*time.Millisecond, "those who are well wait for the stuck one")
	check(last.memory <= first.memory*5/4+32*1024, "memory grows")
	check(last.files <= first.files+16, "connections are left open")
	return good
}

// pull holds a tag's answer against its own digest and against what the tag meant the first time.
func (s *soak) pull(client *http.Client, registry string) {
	name := fmt.Sprintf("%s.alt/team/app/manifests/t%d", registry, rand.IntN(tags))
	status, header, body, err := get(client, s.service+"/v2/"+name)
	s.count(registry, status, err)
	if status != http.StatusOK || err != nil {
		return
	}
	own := digest(body)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	known, seen := s.recorded[name]
	if !seen {
		s.recorded[name] = own
	}
	if own != header.Get("Docker-Content-Digest") || (seen && known != own) {
		s.wrong = append(s.wrong, fmt.Sprintf("%s: %s, not %s", name, own, known))
	}
}

// layer holds what came whole against the digest that was asked for.
func (s *soak) layer(client *http.Client) {
	number := rand.IntN(tags)
	want := digest(layer("chaos", "t"+strconv.Itoa(number), 0))
	status, _, body, err := get(client, s.service+"/v2/chaos.alt/team/app/blobs/"+want)
	s.count("layers", status, err)
	if status == http.StatusOK && err == nil && digest(body) != want {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.wrong = append(s.wrong, "a layer: "+want)
	}
}

// stuck gives up after two seconds, as impatient clients do.
func (s *soak) stuck(client *http.Client) {
	impatient := &http.Client{Timeout: 2 * time.Second, Transport: client.Transport}
	status, _, _, err := get(impatient, fmt.Sprintf("%s/v2/stuck.alt/team/app/manifests/t%d", s.service, rand.IntN(tags)))
	s.count("stuck", status, err)
}

func (s *soak) count(what string, status int, err error) {
	key := fmt.Sprintf("%s %d", what, status)
	if err != nil {
		key = what + " cut"
	}
	counter, _ := s.statuses.LoadOrStore(key, new(atomic.Int64))
	counter.(*atomic.Int64).Add(1)
}

func get(client *http.Client, url string) (int, http.Header, []byte, error) {
	response, err := client.Get(url)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 8<<20))
	if response.StatusCode == http.StatusForbidden && err == nil {
		var refusal struct{ Errors []struct{ Code string } }
		if json.Unmarshal(body, &refusal) != nil || len(refusal.Errors) != 1 {
			err = fmt.Errorf("no envelope: %q", body)
		}
	}
	return response.StatusCode, response.Header, body, err
}

type times struct {
	mutex sync.Mutex
	all   []time.Duration
}

func (t *times) add(one time.Duration) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.all = append(t.all, one)
}

func (t *times) at(share float64) time.Duration {
	sort.Slice(t.all, func(i, j int) bool { return t.all[i] < t.all[j] })
	if len(t.all) == 0 {
		return 0
	}
	return t.all[int(share*float64(len(t.all)-1))].Round(10 * time.Microsecond)
}

type use struct{ memory, files int }

func usage(pid int) use {
	var found use
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range strings.Split(string(status), "\n") {
		if rest, is := strings.CutPrefix(line, "VmRSS:"); is {
			found.memory, _ = strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		log.Fatal(err)
	}
	found.files = len(files)
	return found
}
