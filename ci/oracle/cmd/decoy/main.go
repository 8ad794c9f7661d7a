// Command decoy is the way out of a network that has none: a proxy that every client is told of. It writes down who was
// asked for, one host a line, and lets nobody through.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:5003", "address and port")
	path := flag.String("asked", "asked", "file that gets a line for each request")
	flag.Parse()
	asked, err := os.OpenFile(*path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	var one sync.Mutex
	refuse := func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		if _, err := fmt.Fprintln(asked, r.Host); err != nil {
			log.Fatal(err)
		}
		http.Error(w, "nobody gets out here", http.StatusForbidden)
	}
	server := &http.Server{Addr: *listen, Handler: http.HandlerFunc(refuse), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
