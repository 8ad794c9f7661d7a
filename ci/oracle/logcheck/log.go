// Package logcheck reads a transparency log over HTTP, by the paths of C2SP tlog-tiles, and checks it with the
// notes and trees of golang.org/x/mod. It knows nothing of tags, and none of its code is shared with the log.
package logcheck

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	// tileHeight makes tiles of 256 hashes, the only height of tlog-tiles.
	tileHeight = 8
	// maxBody is more than a full bundle of entries can have: 256 entries of 65,535 bytes.
	maxBody = 256 * (2 + 65535)
)

// Log is a log at an address such as `http://127.0.0.1:8080/log`.
type Log struct {
	base   string
	client *http.Client
	flip   string

	mu    sync.Mutex
	tiles map[string][]byte
}

// New makes a reader of the log at base. If flip is not empty, one bit of the answer at that path is flipped, so
// that a test can see whether the checks notice.
func New(base, flip string) *Log {
	return &Log{
		base:   strings.TrimSuffix(base, "/"),
		client: &http.Client{Timeout: 20 * time.Second},
		flip:   flip,
		tiles:  map[string][]byte{},
	}
}

// Checkpoint is a signed state of a log.
type Checkpoint struct {
	Origin string
	Tree   tlog.Tree
	Note   []byte
}

// get fetches a path below the log's prefix and checks the status and the media type.
func (l *Log) get(path, mediaType string) ([]byte, error) {
	response, err := l.client.Get(l.base + "/" + path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: status %s", path, response.Status)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxBody)
	}
	if found := response.Header.Get("Content-Type"); mediaType != "" && found != mediaType {
		return nil, fmt.Errorf("%s: media type is `%s`, not `%s`", path, found, mediaType)
	}
	if path == l.flip && len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	return body, nil
}

// Verifier fetches the log's public key. Whoever wants more than that the log agrees with itself compares its
// text with one obtained elsewhere.
func (l *Log) Verifier() (note.Verifier, string, error) {
	text, err := l.get("vkey", "")
	if err != nil {
		return nil, "", err
	}
	vkey := strings.TrimSpace(string(text))
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, "", fmt.Errorf("vkey `%s`: %w", vkey, err)
	}
	return verifier, vkey, nil
}

// Checkpoint fetches the newest checkpoint and verifies its signature.
func (l *Log) Checkpoint(verifier note.Verifier) (Checkpoint, error) {
	body, err := l.get("checkpoint", "text/plain; charset=utf-8")
	if err != nil {
		return Checkpoint{}, err
	}
	return ParseCheckpoint(body, verifier)
}

// ParseCheckpoint verifies and reads a checkpoint: origin, size, root, no further line.
func ParseCheckpoint(body []byte, verifier note.Verifier) (Checkpoint, error) {
	opened, err := note.Open(body, note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, fmt.Errorf("checkpoint: %d lines, not 3", len(lines)-1)
	}
	if lines[0] != verifier.Name() {
		return Checkpoint{}, fmt.Errorf("checkpoint: origin `%s` is not the key's name `%s`", lines[0], verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, fmt.Errorf("checkpoint: size `%s`", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return Checkpoint{}, fmt.Errorf("checkpoint: root `%s`", lines[2])
	}
	return Checkpoint{Origin: lines[0], Tree: tlog.Tree{N: size, Hash: tlog.Hash(root)}, Note: body}, nil
}

// path turns x/mod's path of a tile into the path of tlog-tiles, which has no height and says `entries`.
func path(tile tlog.Tile) string {
	rest := strings.TrimPrefix(tile.Path(), "tile/"+strconv.Itoa(tileHeight)+"/")
	if rest, found := strings.CutPrefix(rest, "data/"); found {
		return "tile/entries/" + rest
	}
	return "tile/" + rest
}

// tile fetches one tile, and keeps it: tiles never change.
func (l *Log) tile(tile tlog.Tile) ([]byte, error) {
	path := path(tile)
	l.mu.Lock()
	kept, found := l.tiles[path]
	l.mu.Unlock()
	if found {
		return kept, nil
	}
	body, err := l.get(path, "application/octet-stream")
	if err != nil {
		return nil, err
	}
	if len(body) != tile.W*tlog.HashSize {
		return nil, fmt.Errorf("%s: %d bytes, not %d", path, len(body), tile.W*tlog.HashSize)
	}
	l.mu.Lock()
	l.tiles[path] = body
	l.mu.Unlock()
	return body, nil
}

// Entries fetches the bundle that begins at entry 256 × index and holds width entries.
func (l *Log) Entries(index int64, width int) ([][]byte, error) {
	path := path(tlog.Tile{H: tileHeight, L: -1, N: index, W: width})
	body, err := l.get(path, "application/octet-stream")
	if err != nil {
		return nil, err
	}
	entries := make([][]byte, 0, width)
	for len(body) > 0 {
		if len(body) < 2 {
			return nil, fmt.Errorf("%s: ends within a length", path)
		}
		length := int(binary.BigEndian.Uint16(body))
		if len(body) < 2+length {
			return nil, fmt.Errorf("%s: ends within an entry", path)
		}
		entries = append(entries, body[2:2+length])
		body = body[2+length:]
	}
	if len(entries) != width {
		return nil, fmt.Errorf("%s: %d entries, not %d", path, len(entries), width)
	}
	return entries, nil
}

// HashReader reads hashes of a tree from the log's tiles, each checked against the tree's root.
func (l *Log) HashReader(tree tlog.Tree) tlog.HashReader {
	return tlog.TileHashReader(tree, tileReader{l})
}

type tileReader struct{ log *Log }

func (tileReader) Height() int { return tileHeight }

func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	answer := make([][]byte, 0, len(tiles))
	for _, tile := range tiles {
		body, err := r.log.tile(tile)
		if err != nil {
			return nil, err
		}
		answer = append(answer, body)
	}
	return answer, nil
}

func (tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
