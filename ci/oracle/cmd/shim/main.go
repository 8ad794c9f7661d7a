// shim joins two registries into one: what changes something goes to the upstream, and so do the uploads' own reads;
// everything else is read through the proxy in front of it. So a suite that pushes what it then pulls can test a
// registry that takes no pushes.
package main

import (
	"flag"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	upstream := flag.String("upstream", "", "URL of the registry that takes pushes")
	reader := flag.String("reader", "", "URL of the registry that is read")
	namespace := flag.String("ns", "", "the upstream's name at the reader")
	flag.Parse()
	write, read := to(*upstream, ""), to(*reader, *namespace)
	log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		if reads && !strings.Contains(r.URL.Path, "/blobs/uploads/") {
			read.ServeHTTP(w, r)
		} else {
			write.ServeHTTP(w, r)
		}
	})))
}

// to sends requests on unchanged, Host and all, so that locations lead back here.
func to(target, namespace string) http.Handler {
	base, err := url.Parse(target)
	if err != nil || base.Host == "" {
		log.Fatalf("no URL: %q", target)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = base.Scheme, base.Host
		r.Out.Host = r.In.Host
		if namespace != "" && r.Out.URL.Path != "/v2/" && !r.Out.URL.Query().Has("ns") {
			query := "ns=" + namespace
			if r.Out.URL.RawQuery != "" {
				query = r.Out.URL.RawQuery + "&" + query
			}
			r.Out.URL.RawQuery = query
		}
	}}
}
