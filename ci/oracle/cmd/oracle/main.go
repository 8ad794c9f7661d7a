// Command oracle checks a running log with golang.org/x/mod alone: signature, entries, every tile, proofs of
// inclusion and consistency. It exits 1 and says what is wrong if the log is not what its checkpoint says.
package main

import (
	"flag"
	"fmt"
	"os"

	"tlogistry/ci/oracle/logcheck"
)

func main() {
	url := flag.String("url", "", "the log's prefix, such as http://127.0.0.1:8080/log")
	vkey := flag.String("vkey", "", "the public key that the log must have; default: the one it serves")
	since := flag.String("since", "", "file with an older checkpoint that the log must be consistent with")
	save := flag.String("save", "", "file to write the checkpoint to")
	proofs := flag.Int64("proofs", 2000, "about how many proofs of each kind to check")
	least := flag.Int64("least", 0, "fail if the log is smaller than this")
	flip := flag.String("flip", "", "flip one bit of the answer at this path, to see that it is noticed")
	flag.Parse()
	if err := check(*url, *vkey, *since, *save, *flip, *proofs, *least); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func check(url, expected, since, save, flip string, proofs, least int64) error {
	log := logcheck.New(url, flip)
	verifier, vkey, err := log.Verifier()
	if err != nil {
		return err
	}
	if expected != "" && expected != vkey {
		return fmt.Errorf("the log serves the key `%s`, not `%s`", vkey, expected)
	}
	head, err := log.Checkpoint(verifier)
	if err != nil {
		return err
	}
	if head.Tree.N < least {
		return fmt.Errorf("the log has %d entries, fewer than the %d that are expected", head.Tree.N, least)
	}
	report, err := log.Check(head.Tree, proofs)
	if err != nil {
		return err
	}
	fmt.Printf("%s: size %d, root %s\n", head.Origin, head.Tree.N, head.Tree.Hash)
	fmt.Printf("verified: 1 signature, %d entries in %d bundles, %d tiles, %d inclusion proofs, %d consistency proofs\n",
		report.Entries, report.Bundles, report.Tiles, report.Inclusions, report.Consistencies)
	if since != "" {
		body, err := os.ReadFile(since)
		if err != nil {
			return err
		}
		older, err := logcheck.ParseCheckpoint(body, verifier)
		if err != nil {
			return err
		}
		if err := log.CheckConsistency(older.Tree, head.Tree); err != nil {
			return err
		}
		replayed, err := log.Replay(head.Tree)
		if err != nil {
			return err
		}
		if err := log.CheckPartials(older.Tree, replayed); err != nil {
			return err
		}
		fmt.Printf("verified: the checkpoint of size %d is its beginning, and the partial tiles of that size are served\n", older.Tree.N)
	}
	if save != "" {
		return os.WriteFile(save, head.Note, 0o644)
	}
	return nil
}
