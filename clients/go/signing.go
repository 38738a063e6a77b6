// Package signing signs requests to the Customers API, with the standard library alone.
package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	lifetime       = 300 * time.Second
	attemptMax     = 30 * time.Second
	attemptsMax    = 5
	waitSecondsMax = 30
	rememberedMax  = 1000
)

// The request may have been carried out, or not: a repeat of the same signature is safe, and tells.
var sentAgain = map[int]bool{500: true, 502: true, 503: true, 504: true}

// Signer signs with one private key.
type Signer struct {
	key      *ecdsa.PrivateKey
	KeyID    string
	Audience string
}

// NewSigner takes a private key in PKCS#8 PEM. By default its id is its RFC 7638 thumbprint.
func NewSigner(key []byte, keyID, audience string) (*Signer, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("the key is not in PEM format")
	}
	parsed, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, isKey := parsed.(*ecdsa.PrivateKey)
	if !isKey || private.Params().BitSize != 384 && private.Params().BitSize != 256 {
		return nil, errors.New("the key must be an EC key on P-384 or P-256, in PKCS#8")
	}
	signer := &Signer{private, keyID, audience}
	if keyID == "" {
		x, y := signer.fixed(private.X.Bytes()), signer.fixed(private.Y.Bytes())
		jwk := fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, private.Params().Name, base64url(x), base64url(y))
		thumbprint := sha256.Sum256([]byte(jwk))
		signer.KeyID = base64url(thumbprint[:])
	}
	if audience == "" {
		signer.Audience = "customers-api"
	}
	return signer, nil
}

// FromEnvironment reads the variables of `customers-api sign`: CUSTOMERS_KEY (a file), CUSTOMERS_KEY_ID, CUSTOMERS_AUDIENCE.
func FromEnvironment() (*Signer, error) {
	key, err := os.ReadFile(os.Getenv("CUSTOMERS_KEY"))
	if err != nil {
		return nil, fmt.Errorf("CUSTOMERS_KEY must name the file with the private key: %w", err)
	}
	return NewSigner(key, os.Getenv("CUSTOMERS_KEY_ID"), os.Getenv("CUSTOMERS_AUDIENCE"))
}

// Sign makes the Api-Signature of a request. The path is still percent-encoded.
func (signer *Signer) Sign(method, path, query string, body []byte) (string, error) {
	jti := make([]byte, 16)
	if _, err := rand.Read(jti); err != nil {
		return "", err
	}
	now := time.Now()
	claims := map[string]any{"aud": signer.Audience, "iat": now.Unix(), "exp": now.Add(lifetime).Unix(),
		"jti": base64url(jti), "method": method, "path": path}
	pairs, err := url.ParseQuery(query)
	if err != nil {
		return "", err
	}
	params := map[string]any{}
	for name, values := range pairs {
		params[name] = values
		if len(values) == 1 {
			params[name] = values[0]
		}
		claims["queryParams"] = params
	}
	if len(body) > 0 {
		claims["bodyHash"] = fmt.Sprintf("%x", sha256.Sum256(body))
	}
	bits := strconv.Itoa(signer.key.Params().BitSize)
	header, _ := json.Marshal(map[string]string{"alg": "ES" + bits, "typ": "JWT", "kid": signer.KeyID})
	payload, _ := json.Marshal(claims)
	message := base64url(header) + "." + base64url(payload)
	hash := map[string]crypto.Hash{"384": crypto.SHA384, "256": crypto.SHA256}[bits].New()
	hash.Write([]byte(message))
	r, s, err := ecdsa.Sign(rand.Reader, signer.key, hash.Sum(nil))
	if err != nil {
		return "", err
	}
	return message + "." + base64url(append(signer.fixed(r.Bytes()), signer.fixed(s.Bytes())...)), nil
}

// fixed puts zeros before a number, so that it has the size of the curve.
func (signer *Signer) fixed(number []byte) []byte {
	size := signer.key.Params().BitSize / 8
	return append(make([]byte, size-len(number)), number...)
}

var base64url = base64.RawURLEncoding.EncodeToString

// Transport is an http.RoundTripper that signs, and sends the same signed request again if its answer is lost or says so.
//
// The entity tag of what was read or written last goes as If-Match with the next change of it that has no precondition of
// its own, so that no update is lost. If somebody else changed it meanwhile, the answer is 412: read it again.
type Transport struct {
	Signer    *Signer
	Base      http.RoundTripper // nil is http.DefaultTransport.
	Attempts  int               // 5 at most; 0 is 5.
	NoIfMatch bool
	lock      sync.Mutex
	tags      map[string]string
}

// RoundTrip carries out one request.
func (transport *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	var body []byte
	if request.Body != nil {
		defer request.Body.Close()
		var err error
		if body, err = io.ReadAll(request.Body); err != nil {
			return nil, err
		}
	}
	token, err := transport.Signer.Sign(request.Method, request.URL.EscapedPath(), request.URL.RawQuery, body)
	if err != nil {
		return nil, err
	}
	signed := request.Clone(request.Context())
	signed.Header.Set("Api-Signature", token)
	transport.require(signed)
	for attempt := 1; ; attempt++ {
		answer, err := transport.send(signed, body)
		isLast := attempt == transport.Attempts || attempt == attemptsMax
		if isLast || err == nil && !sentAgain[answer.StatusCode] {
			transport.note(request, answer)
			return answer, err
		}
		seconds := attempt
		if err == nil {
			if after, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil {
				seconds = after
			}
		}
		if seconds > waitSecondsMax {
			seconds = waitSecondsMax
		}
		select {
		case <-request.Context().Done():
			return nil, request.Context().Err()
		case <-time.After(time.Duration(seconds) * time.Second):
		}
	}
}

// send sends the request once, and reads the whole answer, so that one that breaks off is lost, too.
func (transport *Transport) send(signed *http.Request, body []byte) (*http.Response, error) {
	base := transport.Base
	if base == nil {
		base = http.DefaultTransport
	}
	until, cancel := context.WithTimeout(signed.Context(), attemptMax)
	defer cancel()
	request := signed.Clone(until)
	request.Body, request.ContentLength = http.NoBody, int64(len(body))
	if len(body) > 0 {
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	answer, err := base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(text))
	return answer, err
}

func (transport *Transport) require(request *http.Request) {
	transport.lock.Lock()
	defer transport.lock.Unlock()
	tag, isKnown := transport.tags[resource(request)]
	isChange := request.Method == http.MethodPut || request.Method == http.MethodDelete
	if isKnown && isChange && request.Header.Get("If-Match") == "" && request.Header.Get("If-None-Match") == "" {
		request.Header.Set("If-Match", tag)
	}
}

func (transport *Transport) note(request *http.Request, answer *http.Response) {
	transport.lock.Lock()
	defer transport.lock.Unlock()
	if answer == nil {
		return
	}
	if tag := answer.Header.Get("ETag"); tag != "" && !transport.NoIfMatch {
		if transport.tags == nil || len(transport.tags) >= rememberedMax {
			transport.tags = map[string]string{}
		}
		transport.tags[resource(request)] = tag
	} else if answer.StatusCode == 404 || answer.StatusCode == 204 && request.Method == http.MethodDelete {
		delete(transport.tags, resource(request))
	}
}

func resource(request *http.Request) string {
	return request.URL.Host + request.URL.EscapedPath()
}
