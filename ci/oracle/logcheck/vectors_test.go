package logcheck

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type vectors struct {
	Vkey        string `json:"log_vkey"`
	Checkpoints []struct {
		Size       int64  `json:"size"`
		Root       string `json:"root_hex"`
		Checkpoint string `json:"checkpoint"`
	} `json:"checkpoints"`
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	body, err := os.ReadFile("../../../crates/tlog/testdata/tlog_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var read vectors
	if err := json.Unmarshal(body, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// serve is a log of the entries `entry 0`, `entry 1`, … with the given checkpoint.
func serve(t *testing.T, vkey, checkpoint string, size int64) string {
	t.Helper()
	replayed := &Replayed{}
	for index := int64(0); index < size; index++ {
		stored, err := tlog.StoredHashes(index, fmt.Appendf(nil, "entry %d", index), replayed.reader())
		if err != nil {
			t.Fatal(err)
		}
		replayed.hashes = append(replayed.hashes, stored...)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /log/vkey", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, vkey) })
	mux.HandleFunc("GET /log/checkpoint", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprint(w, checkpoint)
	})
	mux.HandleFunc("GET /log/tile/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		path := strings.Replace(strings.TrimPrefix(r.URL.Path, "/log/tile/"), "entries/", "data/", 1)
		tile, err := tlog.ParseTilePath("tile/8/" + path)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		var body []byte
		if tile.L >= 0 {
			body, err = tlog.ReadTileData(tile, replayed.reader())
			if err != nil {
				http.Error(w, err.Error(), http.StatusNotFound)
				return
			}
		} else {
			for index := tile.N * 256; index < tile.N*256+int64(tile.W); index++ {
				entry := fmt.Sprintf("entry %d", index)
				body = binary.BigEndian.AppendUint16(body, uint16(len(entry)))
				body = append(body, entry...)
			}
		}
		_, _ = w.Write(body)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/log"
}

func TestGoodLogsOfEverySizePass(t *testing.T) {
	read := readVectors(t)
	verifier, err := note.NewVerifier(read.Vkey)
	if err != nil {
		t.Fatal(err)
	}
	for _, vector := range read.Checkpoints {
		log := New(serve(t, read.Vkey, vector.Checkpoint, vector.Size), "")
		head, err := log.Checkpoint(verifier)
		if err != nil {
			t.Fatalf("size %d: %v", vector.Size, err)
		}
		if root := hex.EncodeToString(head.Tree.Hash[:]); head.Tree.N != vector.Size || root != vector.Root {
			t.Fatalf("size %d: read %d %s", vector.Size, head.Tree.N, root)
		}
		report, err := log.Check(head.Tree, 200)
		if err != nil {
			t.Fatalf("size %d: %v", vector.Size, err)
		}
		if int64(report.Entries) != vector.Size {
			t.Fatalf("size %d: %d entries", vector.Size, report.Entries)
		}
	}
}

func TestEveryFlippedAnswerIsNoticed(t *testing.T) {
	read := readVectors(t)
	last := read.Checkpoints[len(read.Checkpoints)-1]
	if last.Size != 70000 {
		t.Fatalf("the largest vector has size %d", last.Size)
	}
	base := serve(t, read.Vkey, last.Checkpoint, last.Size)
	for _, flipped := range []string{
		"checkpoint",
		"tile/0/000",
		"tile/0/273.p/112",
		"tile/1/000",
		"tile/1/001.p/17",
		"tile/2/000.p/1",
		"tile/entries/000",
		"tile/entries/273.p/112",
	} {
		log := New(base, flipped)
		verifier, _, err := log.Verifier()
		if err != nil {
			t.Fatal(err)
		}
		head, err := log.Checkpoint(verifier)
		if err == nil {
			_, err = log.Check(head.Tree, 200)
		}
		if err == nil {
			t.Errorf("%s: a flipped bit is not noticed", flipped)
		}
	}
}

func TestAnotherHistoryIsNotConsistent(t *testing.T) {
	read := readVectors(t)
	last := read.Checkpoints[len(read.Checkpoints)-1]
	log := New(serve(t, read.Vkey, last.Checkpoint, last.Size), "")
	verifier, err := note.NewVerifier(read.Vkey)
	if err != nil {
		t.Fatal(err)
	}
	head, err := log.Checkpoint(verifier)
	if err != nil {
		t.Fatal(err)
	}
	older := tlog.Tree{N: 257, Hash: tlog.RecordHash([]byte("another history"))}
	if err := log.CheckConsistency(older, head.Tree); err == nil {
		t.Error("another history is taken for the log's beginning")
	}
}
