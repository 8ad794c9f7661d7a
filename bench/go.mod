module tlogistry/bench

go 1.24
