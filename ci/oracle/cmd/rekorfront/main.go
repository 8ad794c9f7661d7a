// rekorfront puts Rekor v2's writes and reads under one address, as public deployments do: entries go to the server, the
// checkpoint and tiles come from its storage folder.
package main

import (
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	server := flag.String("server", "", "URL of the server")
	storage := flag.String("storage", "", "its storage folder")
	flag.Parse()
	base, err := url.Parse(*server)
	if err != nil || base.Host == "" {
		log.Fatalf("no URL: %q", *server)
	}
	files := http.StripPrefix("/api/v2/", http.FileServer(http.Dir(*storage)))
	mux := http.NewServeMux()
	mux.Handle("/", httputil.NewSingleHostReverseProxy(base))
	mux.Handle("GET /api/v2/checkpoint", files)
	mux.Handle("GET /api/v2/tile/", files)
	log.Fatal(http.ListenAndServe(*listen, mux))
}
