package logcheck

import (
	"bytes"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Report counts what was checked.
type Report struct {
	Entries, Bundles, Tiles, Inclusions, Consistencies int
}

// Replayed is a log rebuilt from its entries.
type Replayed struct {
	Tree    tlog.Tree
	Entries [][]byte
	hashes  []tlog.Hash
}

// Replay fetches all entries of a tree and rebuilds it from them alone. Every size between 1 and the tree's then
// has a root that RootAt tells.
func (l *Log) Replay(tree tlog.Tree) (*Replayed, error) {
	replayed := &Replayed{Tree: tree}
	for first := int64(0); first < tree.N; first += 256 {
		entries, err := l.Entries(first/256, int(min(256, tree.N-first)))
		if err != nil {
			return nil, err
		}
		for offset, entry := range entries {
			stored, err := tlog.StoredHashes(first+int64(offset), entry, replayed.reader())
			if err != nil {
				return nil, err
			}
			replayed.hashes = append(replayed.hashes, stored...)
		}
		replayed.Entries = append(replayed.Entries, entries...)
	}
	root, err := replayed.RootAt(tree.N)
	if err != nil {
		return nil, err
	}
	if root != tree.Hash {
		return nil, fmt.Errorf("the entries have the root %s, the checkpoint of size %d says %s", root, tree.N, tree.Hash)
	}
	return replayed, nil
}

// RootAt is the root that the log had when it had the given size.
func (r *Replayed) RootAt(size int64) (tlog.Hash, error) {
	return tlog.TreeHash(size, r.reader())
}

func (r *Replayed) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, 0, len(indexes))
		for _, index := range indexes {
			if index >= int64(len(r.hashes)) {
				return nil, fmt.Errorf("hash %d is not known", index)
			}
			hashes = append(hashes, r.hashes[index])
		}
		return hashes, nil
	})
}

// Check verifies everything that the log serves below a checkpoint: the root from the entries, every tile against
// the entries, and the proofs of inclusion and consistency that the tiles give. At most proofs of each kind are
// checked, spread over the log and with every size next to a border of tiles.
func (l *Log) Check(tree tlog.Tree, proofs int64) (Report, error) {
	var report Report
	replayed, err := l.Replay(tree)
	if err != nil {
		return report, err
	}
	report.Entries = len(replayed.Entries)
	report.Bundles = int((tree.N + 255) / 256)

	for level := 0; tree.N>>(tileHeight*level) > 0; level++ {
		hashes := tree.N >> (tileHeight * level)
		for first := int64(0); first < hashes; first += 256 {
			tile := tlog.Tile{H: tileHeight, L: level, N: first / 256, W: int(min(256, hashes-first))}
			served, err := l.tile(tile)
			if err != nil {
				return report, err
			}
			expected, err := tlog.ReadTileData(tile, replayed.reader())
			if err != nil {
				return report, err
			}
			if !bytes.Equal(served, expected) {
				return report, fmt.Errorf("%s: not the hashes of the entries", path(tile))
			}
			report.Tiles++
		}
	}

	step := max(1, tree.N/max(1, proofs))
	tiles := l.HashReader(tree)
	for index := int64(0); index < tree.N; index++ {
		if index%step != 0 && !nearBorder(index) && index != tree.N-1 {
			continue
		}
		proof, err := tlog.ProveRecord(tree.N, index, tiles)
		if err != nil {
			return report, fmt.Errorf("inclusion of %d: %w", index, err)
		}
		leaf := tlog.RecordHash(replayed.Entries[index])
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf); err != nil {
			return report, fmt.Errorf("inclusion of %d: %w", index, err)
		}
		report.Inclusions++
	}
	for size := int64(1); size <= tree.N; size++ {
		if size%step != 0 && !nearBorder(size) && size != tree.N {
			continue
		}
		root, err := replayed.RootAt(size)
		if err != nil {
			return report, err
		}
		if err := l.CheckConsistency(tlog.Tree{N: size, Hash: root}, tree); err != nil {
			return report, err
		}
		report.Consistencies++
	}
	return report, nil
}

func nearBorder(number int64) bool {
	return number%256 <= 1 || number%256 == 255
}

// CheckConsistency verifies, by a proof from the log's tiles, that the newer tree has the older one as its beginning.
func (l *Log) CheckConsistency(older, newer tlog.Tree) error {
	if older.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(newer.N, older.N, l.HashReader(newer))
	if err != nil {
		return fmt.Errorf("consistency of %d and %d: %w", older.N, newer.N, err)
	}
	if err := tlog.CheckTree(proof, newer.N, newer.Hash, older.N, older.Hash); err != nil {
		return fmt.Errorf("consistency of %d and %d: %w", older.N, newer.N, err)
	}
	return nil
}

// CheckPartials fetches the tiles and the bundle at the right edge of an older size, as a client that holds the
// older checkpoint does, and compares them with the entries.
func (l *Log) CheckPartials(older tlog.Tree, replayed *Replayed) error {
	for level := 0; older.N>>(tileHeight*level) > 0; level++ {
		hashes := older.N >> (tileHeight * level)
		if hashes%256 == 0 {
			continue
		}
		tile := tlog.Tile{H: tileHeight, L: level, N: hashes / 256, W: int(hashes % 256)}
		served, err := l.tile(tile)
		if err != nil {
			return err
		}
		expected, err := tlog.ReadTileData(tile, replayed.reader())
		if err != nil {
			return err
		}
		if !bytes.Equal(served, expected) {
			return fmt.Errorf("%s: not the hashes of the entries", path(tile))
		}
	}
	first := older.N / 256 * 256
	if first == older.N {
		return nil
	}
	entries, err := l.Entries(first/256, int(older.N-first))
	if err != nil {
		return err
	}
	for offset, entry := range entries {
		if !bytes.Equal(entry, replayed.Entries[first+int64(offset)]) {
			return fmt.Errorf("entry %d differs between two bundles", first+int64(offset))
		}
	}
	return nil
}
