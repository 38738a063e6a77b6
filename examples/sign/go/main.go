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

func sign(method, path, query string, body []byte) (string, error) {
	pem, err := os.ReadFile(os.Getenv("CUSTOMERS_KEY"))
	if err != nil {
		return "", err
	}
	key, err := jwt.ParseECPrivateKeyFromPEM(pem)
	if err != nil {
		return "", err
	}
	params, err := url.ParseQuery(query)
	if err != nil {
		return "", err
	}
	jti := make([]byte, 16)
	if _, err := rand.Read(jti); err != nil {
		return "", err
	}
	now := time.Now().Unix()
	claims := jwt.MapClaims{"aud": "customers-api", "iat": now, "exp": now + 300, "jti": hex.EncodeToString(jti),
		"method": method, "path": path}
	if len(params) > 0 {
		values := map[string]any{}
		for name, all := range params {
			values[name] = all
			if len(all) == 1 {
				values[name] = all[0]
			}
		}
		claims["queryParams"] = values
	}
	if len(body) > 0 {
		claims["bodyHash"] = fmt.Sprintf("%x", sha256.Sum256(body))
	}
	algorithm := map[string]jwt.SigningMethod{"P-384": jwt.SigningMethodES384, "P-256": jwt.SigningMethodES256}
	curve := key.Curve.Params()
	token := jwt.NewWithClaims(algorithm[curve.Name], claims)
	token.Header["kid"] = os.Getenv("CUSTOMERS_KEY_ID")
	if token.Header["kid"] == "" {
		// RFC 7638: the SHA-256 of the public key as a JWK.
		text := base64.RawURLEncoding.EncodeToString
		x, y := make([]byte, curve.BitSize/8), make([]byte, curve.BitSize/8)
		jwk := fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, curve.Name, text(key.X.FillBytes(x)), text(key.Y.FillBytes(y)))
		thumbprint := sha256.Sum256([]byte(jwk))
		token.Header["kid"] = text(thumbprint[:])
	}
	return token.SignedString(key)
}

// Sends the same signed request again after 500, 503 or a lost answer: the service carries it out at most once.
func send(method, path, query string, body []byte) (int, []byte, error) {
	target, err := url.Parse(strings.TrimSuffix(os.Getenv("CUSTOMERS_URL"), "/") + path)
	if err != nil {
		return 0, nil, err
	}
	target.RawQuery = query
	token, err := sign(method, target.EscapedPath(), query, body)
	if err != nil {
		return 0, nil, err
	}
	client := http.Client{Timeout: 30 * time.Second}
	for attempt := 1; ; attempt++ {
		request, err := http.NewRequest(method, target.String(), bytes.NewReader(body))
		if err != nil {
			return 0, nil, err
		}
		request.Header.Set("Api-Signature", token)
		if len(body) > 0 {
			request.Header.Set("Content-Type", "application/json")
		}
		status, text, err := read(client.Do(request))
		if attempt == 5 || err == nil && status != 500 && status != 503 {
			return status, text, err
		}
		time.Sleep(time.Duration(attempt) * time.Second)
	}
}

func read(response *http.Response, err error) (int, []byte, error) {
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, text, err
}

func main() {
	arguments := append(os.Args[1:], "", "", "", "")
	var body []byte
	var err error
	if file := arguments[3]; file != "" {
		if body, err = os.ReadFile(file); err != nil {
			log.Fatal(err)
		}
	}
	status, text, err := send(arguments[0], arguments[1], arguments[2], body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d\n%s\n", status, text)
	if status/100 != 2 {
		os.Exit(1)
	}
}
