// Command upstream is a registry that is fast enough to measure a proxy in front of it: every tag of every repository
// exists and has a manifest of its own, made when it is asked for. It speaks plain HTTP/1.1 over raw sockets and
// counts what it was asked: GET /-/counts. It checks nothing and stores nothing but the digests of the first tags.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const mediaType = "application/vnd.oci.image.manifest.v1+json"

// knownTags is how many tags can be asked for by digest as well.
const knownTags = 65_536

// layers are all the blobs of every image, besides the empty configuration.
var layers = [][]byte{[]byte("layer 0"), []byte("layer 1"), []byte("layer 2"), []byte("layer 3"), []byte("layer 4")}

type registry struct {
	before, after []byte
	blobs         map[string][]byte
	date          atomic.Pointer[string]
	gets, heads   atomic.Int64
	others        atomic.Int64
	// byDigest answers for the first tags only: a cache in front asks by digest for what it has by tag.
	byDigest sync.Map
	known    atomic.Int64
}

func main() {
	listen := flag.String("listen", "127.0.0.1:5900", "address to listen on")
	flag.Parse()
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	r := newRegistry()
	go r.tick()
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go r.serve(connection)
	}
}

func newRegistry() *registry {
	r := &registry{blobs: map[string][]byte{}}
	descriptor := func(kind string, blob []byte) string {
		digest := digestOf(blob)
		r.blobs[digest] = blob
		return fmt.Sprintf(`{"mediaType":"application/vnd.oci.%s","digest":"%s","size":%d}`, kind, digest, len(blob))
	}
	r.before = fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[`, mediaType, descriptor("empty.v1+json", []byte("{}")))
	for i, layer := range layers {
		if i > 0 {
			r.before = append(r.before, ',')
		}
		r.before = append(r.before, descriptor("image.layer.v1.tar+gzip", layer)...)
	}
	r.before = append(r.before, `],"annotations":{"org.opencontainers.image.ref.name":"`...)
	r.after = []byte(`"}}`)
	r.setDate()
	return r
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (r *registry) setDate() {
	date := time.Now().UTC().Format(http.TimeFormat)
	r.date.Store(&date)
}

func (r *registry) tick() {
	for range time.Tick(time.Second) {
		r.setDate()
	}
}

func (r *registry) serve(connection net.Conn) {
	defer connection.Close()
	reader := bufio.NewReaderSize(connection, 16<<10)
	var answer []byte
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return
		}
		method, rest, _ := bytes.Cut(line, []byte(" "))
		target, _, _ := bytes.Cut(rest, []byte(" "))
		target, _, _ = bytes.Cut(target, []byte("?"))
		head := string(method) == "HEAD"
		answer = r.answer(answer[:0], head, string(target))
		for {
			if line, err = reader.ReadSlice('\n'); err != nil {
				return
			}
			if len(line) <= 2 {
				break
			}
		}
		if _, err := connection.Write(answer); err != nil {
			return
		}
	}
}

func (r *registry) answer(to []byte, head bool, target string) []byte {
	repository, reference, found := cut(target, "/manifests/")
	switch {
	case found:
		if head {
			r.heads.Add(1)
		} else {
			r.gets.Add(1)
		}
		return r.manifest(to, head, repository, reference)
	case target == "/-/counts":
		counts, _ := json.Marshal(map[string]int64{"get": r.gets.Load(), "head": r.heads.Load(), "other": r.others.Load()})
		return r.write(to, head, 200, "application/json", "", counts)
	}
	r.others.Add(1)
	if target == "/v2/" {
		return r.write(to, head, 200, "application/json", "", []byte("{}"))
	}
	if _, digest, found := cut(target, "/blobs/"); found && r.blobs[digest] != nil {
		return r.write(to, head, 200, "application/octet-stream", digest, r.blobs[digest])
	}
	return r.write(to, head, 404, "application/json", "", []byte(`{"errors":[{"code":"NOT_FOUND","message":"not here"}]}`))
}

func (r *registry) manifest(to []byte, head bool, repository, reference string) []byte {
	if tag, found := r.byDigest.Load(reference); found {
		reference = tag.(string)
	} else if len(reference) == 71 && reference[:7] == "sha256:" {
		return r.write(to, head, 404, "application/json", "", []byte(`{"errors":[{"code":"MANIFEST_UNKNOWN","message":"only the first tags are known by digest"}]}`))
	}
	body := make([]byte, 0, len(r.before)+len(repository)+len(reference)+8)
	body = append(body, r.before...)
	body = append(body, repository...)
	body = append(body, ':')
	body = append(body, reference...)
	body = append(body, r.after...)
	digest := digestOf(body)
	if r.known.Load() < knownTags {
		if _, had := r.byDigest.LoadOrStore(digest, reference); !had {
			r.known.Add(1)
		}
	}
	return r.write(to, head, 200, mediaType, digest, body)
}

func (r *registry) write(to []byte, head bool, status int, kind, digest string, body []byte) []byte {
	to = append(to, "HTTP/1.1 "...)
	to = strconv.AppendInt(to, int64(status), 10)
	to = append(to, " "+http.StatusText(status)+"\r\nDate: "...)
	to = append(to, *r.date.Load()...)
	to = append(to, "\r\nDocker-Distribution-Api-Version: registry/2.0\r\nContent-Type: "...)
	to = append(to, kind...)
	to = append(to, "\r\nContent-Length: "...)
	to = strconv.AppendInt(to, int64(len(body)), 10)
	if digest != "" {
		to = append(to, "\r\nDocker-Content-Digest: "...)
		to = append(to, digest...)
		to = append(to, "\r\nEtag: \""...)
		to = append(to, digest...)
		to = append(to, '"')
	}
	to = append(to, "\r\n\r\n"...)
	if head {
		return to
	}
	return append(to, body...)
}

// cut splits a target below /v2/ at the marker.
func cut(target, marker string) (repository, reference string, found bool) {
	rest, found := strings.CutPrefix(target, "/v2/")
	if !found {
		return "", "", false
	}
	return strings.Cut(rest, marker)
}
