// Command registry serves a registry that has every tag, for as long as it runs.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"tlogistry/ci/oracle/registry"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:5001", "address and port")
	flag.Parse()
	server := &http.Server{Addr: *listen, Handler: registry.New(), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
