// Sends one signed request: METHOD PATH [QUERY] [BODY-FILE], path and query percent-encoded.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"example.org/customers-signing"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	arguments := append(os.Args[1:], "", "", "", "")
	server := os.Getenv("CUSTOMERS_URL")
	if server == "" {
		server = "http://127.0.0.1:8080"
	}
	url := strings.TrimSuffix(server, "/") + arguments[1]
	if query := arguments[2]; query != "" {
		url += "?" + query
	}
	var body []byte
	if file := arguments[3]; file != "" {
		body = must(os.ReadFile(file))
	}
	request := must(http.NewRequest(arguments[0], url, bytes.NewReader(body)))
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{Transport: &signing.Transport{Signer: must(signing.FromEnvironment())}}
	answer := must(client.Do(request))
	fmt.Printf("%d\n%s\n", answer.StatusCode, must(io.ReadAll(answer.Body)))
	if answer.StatusCode/100 != 2 {
		os.Exit(1)
	}
}
