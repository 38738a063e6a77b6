// Sends one signed request: METHOD PATH [QUERY] [BODY-FILE], path and query percent-encoded.
package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

func sign(method, path, query string, body []byte) string {
	key := must(jwt.ParseECPrivateKeyFromPEM(must(os.ReadFile(os.Getenv("CUSTOMERS_KEY")))))
	jti := make([]byte, 16)
	must(rand.Read(jti))
	now := time.Now().Unix()
	claims := jwt.MapClaims{"aud": "customers-api", "iat": now, "exp": now + 300, "jti": hex.EncodeToString(jti),
		"method": method, "path": path}
	if query != "" {
		params := map[string]any{}
		for name, values := range must(url.ParseQuery(query)) {
			params[name] = values
			if len(values) == 1 {
				params[name] = values[0]
			}
		}
		claims["queryParams"] = params
	}
	if len(body) > 0 {
		claims["bodyHash"] = fmt.Sprintf("%x", sha256.Sum256(body))
	}
	curve := key.Curve.Params()
	algorithm := map[string]jwt.SigningMethod{"P-384": jwt.SigningMethodES384, "P-256": jwt.SigningMethodES256}[curve.Name]
	token := jwt.NewWithClaims(algorithm, claims)
	token.Header["kid"] = os.Getenv("CUSTOMERS_KEY_ID")
	if token.Header["kid"] == "" {
		// RFC 7638: the SHA-256 of the public key as a JWK.
		base64url := base64.RawURLEncoding.EncodeToString
		x, y := key.X.FillBytes(make([]byte, curve.BitSize/8)), key.Y.FillBytes(make([]byte, curve.BitSize/8))
		jwk := fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, curve.Name, base64url(x), base64url(y))
		thumbprint := sha256.Sum256([]byte(jwk))
		token.Header["kid"] = base64url(thumbprint[:])
	}
	return must(token.SignedString(key))
}

// Sends the same signed request again after 500, 503 or a lost answer: the service carries it out at most once.
func send(method, path, query string, body []byte) (status int, text []byte, err error) {
	target := must(url.Parse(strings.TrimSuffix(os.Getenv("CUSTOMERS_URL"), "/") + path))
	target.RawQuery = query
	token := sign(method, target.EscapedPath(), query, body)
	client := http.Client{Timeout: 30 * time.Second}
	for attempt := 1; ; attempt++ {
		request := must(http.NewRequest(method, target.String(), bytes.NewReader(body)))
		request.Header.Set("Api-Signature", token)
		if len(body) > 0 {
			request.Header.Set("Content-Type", "application/json")
		}
		var answer *http.Response
		if answer, err = client.Do(request); err == nil {
			status = answer.StatusCode
			text, err = io.ReadAll(answer.Body)
			answer.Body.Close()
		}
		if attempt == 5 || err == nil && status != 500 && status != 503 {
			return
		}
		time.Sleep(time.Duration(attempt) * time.Second)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	arguments := append(os.Args[1:], "", "", "", "")
	var body []byte
	if file := arguments[3]; file != "" {
		body = must(os.ReadFile(file))
	}
	status, text, err := send(arguments[0], arguments[1], arguments[2], body)
	must(status, err)
	fmt.Printf("%d\n%s\n", status, text)
	if status/100 != 2 {
		os.Exit(1)
	}
}
