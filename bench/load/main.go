// Command load sends requests to one HTTP/1.1 server over keep-alive connections and prints one line of JSON:
// rate, latencies, statuses and how busy its own core was. It speaks plain HTTP over raw sockets, because a client
// library costs more per request than the servers it is to measure. It knows nothing of registries: an answer counts
// when its status is the expected one and its body is as long as it says.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type plan struct {
	address, method, path, accept string
	connections                   int
	duration                      time.Duration
	requests, start, distinct     int64
	expect                        int
}

// worker is what one connection has seen.
type worker struct {
	taken    []time.Duration
	statuses map[int]int64
	bytes    int64
	failure  error
}

type report struct {
	Requests int64         `json:"requests"`
	Seconds  float64       `json:"seconds"`
	Rate     float64       `json:"rate"`
	P50      float64       `json:"p50_ms"`
	P99      float64       `json:"p99_ms"`
	P999     float64       `json:"p999_ms"`
	Max      float64       `json:"max_ms"`
	Statuses map[int]int64 `json:"statuses"`
	Bytes    int64         `json:"body_bytes"`
	// Next is the first number that was not used, for the `-start` of the next run.
	Next int64   `json:"next"`
	Busy float64 `json:"generator_busy"`
}

func main() {
	var p plan
	flag.StringVar(&p.address, "address", "127.0.0.1:8080", "host:port of the server")
	flag.StringVar(&p.method, "method", "GET", "GET or HEAD")
	flag.StringVar(&p.path, "path", "/", "request target; {n} is replaced by a number")
	flag.StringVar(&p.accept, "accept", "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "+
		"application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json", "the Accept header")
	flag.IntVar(&p.connections, "connections", 16, "connections, each with one request under way")
	flag.DurationVar(&p.duration, "duration", 5*time.Second, "how long to send at most")
	flag.Int64Var(&p.requests, "requests", 0, "how many to send at most; 0: as many as the duration allows")
	flag.Int64Var(&p.start, "start", 0, "first number")
	flag.Int64Var(&p.distinct, "distinct", 0, "begin again after so many numbers; 0: never")
	flag.IntVar(&p.expect, "expect", 200, "the status that every answer has to have")
	flag.Parse()
	r, err := p.run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(r)
	for status := range r.Statuses {
		if status != p.expect {
			fmt.Fprintf(os.Stderr, "load: answers other than %d: %v\n", p.expect, r.Statuses)
			os.Exit(1)
		}
	}
}

// run connects everything first and then lets all connections send at once.
func (p *plan) run() (*report, error) {
	connections := make([]net.Conn, p.connections)
	for i := range connections {
		connection, err := net.Dial("tcp", p.address)
		if err != nil {
			return nil, err
		}
		defer connection.Close()
		connections[i] = connection
	}
	workers := make([]worker, p.connections)
	var next atomic.Int64
	var ready, done sync.WaitGroup
	var begun, deadline time.Time
	gate := make(chan struct{})
	for i, connection := range connections {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			w := &workers[i]
			w.statuses = map[int]int64{}
			ready.Done()
			<-gate
			w.failure = p.send(connection, w, &next, deadline)
		}()
	}
	ready.Wait()
	cpu := processor()
	begun = time.Now()
	deadline = begun.Add(p.duration)
	close(gate)
	done.Wait()
	elapsed := time.Since(begun)
	used := processor() - cpu
	return p.summarise(workers, elapsed, used)
}

func (p *plan) send(connection net.Conn, w *worker, next *atomic.Int64, deadline time.Time) error {
	before, after, numbered := strings.Cut(p.path, "{n}")
	head := p.method + " " + before
	tail := after + " HTTP/1.1\r\nHost: " + p.address + "\r\nUser-Agent: load\r\nAccept: " + p.accept + "\r\n\r\n"
	reader := bufio.NewReaderSize(connection, 16<<10)
	var request []byte
	for {
		number := next.Add(1) - 1
		now := time.Now()
		if p.requests > 0 && number >= p.requests || !now.Before(deadline) {
			return nil
		}
		if p.distinct > 0 {
			number %= p.distinct
		}
		request = append(request[:0], head...)
		if numbered {
			request = strconv.AppendInt(request, p.start+number, 10)
		}
		request = append(request, tail...)
		if _, err := connection.Write(request); err != nil {
			return err
		}
		status, size, err := answer(reader, p.method == "HEAD")
		if err != nil {
			return fmt.Errorf("request %d: %w", number, err)
		}
		w.taken = append(w.taken, time.Since(now))
		w.statuses[status]++
		w.bytes += size
	}
}

// answer reads one response to its end.
func answer(reader *bufio.Reader, bodiless bool) (status int, size int64, err error) {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, fmt.Errorf("not an answer: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, err
	}
	size = -1
	for {
		if line, err = reader.ReadSlice('\n'); err != nil {
			return 0, 0, err
		}
		if len(line) <= 2 {
			break
		}
		const length = "content-length:"
		if len(line) > len(length) && bytes.EqualFold(line[:len(length)], []byte(length)) {
			if size, err = strconv.ParseInt(string(bytes.TrimSpace(line[len(length):])), 10, 64); err != nil {
				return 0, 0, err
			}
		}
	}
	if bodiless {
		return status, 0, nil
	}
	if size < 0 {
		return 0, 0, errors.New("an answer without Content-Length")
	}
	_, err = io.CopyN(io.Discard, reader, size)
	return status, size, err
}

func (p *plan) summarise(workers []worker, elapsed, used time.Duration) (*report, error) {
	r := &report{Seconds: elapsed.Seconds(), Statuses: map[int]int64{}, Busy: used.Seconds() / elapsed.Seconds()}
	var taken []time.Duration
	for i := range workers {
		if workers[i].failure != nil {
			return nil, workers[i].failure
		}
		taken = append(taken, workers[i].taken...)
		r.Bytes += workers[i].bytes
		for status, count := range workers[i].statuses {
			r.Statuses[status] += count
		}
	}
	if len(taken) == 0 {
		return nil, errors.New("no request was answered in time")
	}
	slices.Sort(taken)
	at := func(part float64) float64 {
		return float64(taken[int(part*float64(len(taken)-1))].Microseconds()) / 1000
	}
	r.Requests = int64(len(taken))
	r.Rate = float64(r.Requests) / r.Seconds
	r.P50, r.P99, r.P999, r.Max = at(0.5), at(0.99), at(0.999), at(1)
	r.Next = p.start + r.Requests
	return r, nil
}

// processor is the time that this process has had a core.
func processor() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
