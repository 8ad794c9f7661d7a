// Package registry is a registry that has every tag of every repository: each tag is a small manifest of its own,
// which changes when the tag is moved. It has no blobs, and knows nothing of logs.
package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

const mediaType = "application/vnd.oci.image.manifest.v1+json"

var (
	manifests = regexp.MustCompile(`^/v2/([a-z0-9._/-]+)/manifests/([A-Za-z0-9_][A-Za-z0-9._-]{0,127})$`)
	moves     = regexp.MustCompile(`^/control/move/([a-z0-9._/-]+)/([A-Za-z0-9_][A-Za-z0-9._-]{0,127})$`)
)

// Registry answers `GET|HEAD /v2/<name>/manifests/<tag>` and `POST /control/move/<name>/<tag>`.
type Registry struct {
	mu    sync.Mutex
	moved map[string]int
}

// New makes a registry in which no tag has moved.
func New() *Registry {
	return &Registry{moved: map[string]int{}}
}

// Move makes a tag mean another manifest from now on.
func (r *Registry) Move(name, tag string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moved[name+":"+tag]++
}

// Manifest is what a tag means now, and its digest.
func (r *Registry) Manifest(name, tag string) ([]byte, string) {
	r.mu.Lock()
	generation := r.moved[name+":"+tag]
	r.mu.Unlock()
	config := sha256.Sum256(fmt.Appendf(nil, "%s:%s %d", name, tag, generation))
	body := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":2},"layers":[]}`,
		mediaType, hex.EncodeToString(config[:]))
	digest := sha256.Sum256(body)
	return body, "sha256:" + hex.EncodeToString(digest[:])
}

// ServeHTTP answers as a registry does.
func (r *Registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	path := request.URL.Path
	reading := request.Method == http.MethodGet || request.Method == http.MethodHead
	if found := moves.FindStringSubmatch(path); found != nil && request.Method == http.MethodPost {
		r.Move(found[1], found[2])
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if found := manifests.FindStringSubmatch(path); found != nil && reading {
		body, digest := r.Manifest(found[1], found[2])
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Docker-Content-Digest", digest)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		if request.Method == http.MethodGet {
			_, _ = w.Write(body)
		}
		return
	}
	if strings.TrimSuffix(path, "/") == "/v2" && reading {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"errors": []map[string]string{{"code": "MANIFEST_UNKNOWN", "message": "there are only tags here"}},
	})
}
