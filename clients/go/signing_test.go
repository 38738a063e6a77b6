package signing

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

const body = `{"FullName":{"FirstName":"Zoë","LastName":"Muster"},"DateOfBirth":"1990-01-31","Identities":[],` +
	`"PrimaryResidence":{"Street":"Musterstrasse 1","City":"Musterstadt","PostCode":"1","State":"Berlin","Country":"DE"}}`

func client(t *testing.T) *http.Client {
	signer, err := FromEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: &Transport{Signer: signer}}
}

// expect sends a request, and checks the status of its answer.
func expect(t *testing.T, client *http.Client, status int, method, url, body string, headers ...string) string {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != status {
		t.Fatalf("%s %s: %d instead of %d: %s %v", method, url, answer.StatusCode, status, text, err)
	}
	return string(text)
}

func TestAnyRequestIsSigned(t *testing.T) {
	client, server := client(t), os.Getenv("CUSTOMERS_URL")
	one := server + "/customers/go%20+%26%25%2FZo%C3%AB%3F"
	expect(t, client, 201, "PUT", one, body)
	if text := expect(t, client, 200, "GET", one, ""); !strings.Contains(text, "Zoë") {
		t.Fatal(text)
	}
	expect(t, client, 200, "GET", server+"/customers?PageSize=%31&SortDirection=%41SC", "")
	expect(t, client, 400, "GET", server+"/customers?Name=a+b%20c%2Bd%26e&Name=M%C3%BCller%0A&Empty=&PageSize=5", "")
	expect(t, client, 204, "DELETE", one, "")
	expect(t, client, 404, "GET", one, "")
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	client, lossy := client(t), os.Getenv("LOSSY_URL")
	expect(t, client, 201, "PUT", lossy+"/customers/go-lost", body)
	expect(t, client, 204, "DELETE", lossy+"/customers/go-lost", "")
}

func TestAnUpdateThatWouldBeLostIsRefused(t *testing.T) {
	mine, theirs, one := client(t), client(t), os.Getenv("CUSTOMERS_URL")+"/customers/go-versions"
	expect(t, mine, 201, "PUT", one, body)
	expect(t, mine, 204, "PUT", one, body)
	expect(t, theirs, 204, "PUT", one, body)
	expect(t, mine, 412, "PUT", one, body)
	expect(t, mine, 412, "DELETE", one, "")
	expect(t, mine, 204, "PUT", one, body, "If-Match", "*")
	expect(t, theirs, 200, "GET", one, "")
	expect(t, theirs, 204, "DELETE", one, "")
	expect(t, theirs, 201, "PUT", one, body, "If-None-Match", "*")
	expect(t, &http.Client{Transport: &Transport{Signer: mine.Transport.(*Transport).Signer, NoIfMatch: true}}, 204, "PUT", one, body)
}

func TestTriesAreBounded(t *testing.T) {
	client := client(t)
	client.Transport.(*Transport).Attempts = 2
	if _, err := client.Get(os.Getenv("NOBODY_URL")); err == nil {
		t.Fatal("nobody listens there")
	}
}

func TestTheSettingsAreThoseOfTheEnvironment(t *testing.T) {
	t.Setenv("CUSTOMERS_AUDIENCE", "another")
	if text := expect(t, client(t), 401, "GET", os.Getenv("CUSTOMERS_URL")+"/customers", ""); !strings.Contains(text, "aud is wrong") {
		t.Fatal(text)
	}
	t.Setenv("CUSTOMERS_KEY_ID", "nobody")
	if text := expect(t, client(t), 401, "GET", os.Getenv("CUSTOMERS_URL")+"/customers", ""); !strings.Contains(text, "kid is not") {
		t.Fatal(text)
	}
	for _, file := range []string{"", "/no/such/file"} {
		t.Setenv("CUSTOMERS_KEY", file)
		if _, err := FromEnvironment(); err == nil || !strings.Contains(err.Error(), "CUSTOMERS_KEY") {
			t.Fatal(err)
		}
	}
}
