import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.*;
import java.util.stream.Collectors;

import static java.nio.charset.StandardCharsets.UTF_8;

/** Sends one signed request with the JDK alone: METHOD PATH [QUERY] [BODY-FILE], path and query percent-encoded. */
class Sign {
    static String sign(String method, String path, String query, byte[] body) throws Exception {
        var pem = Files.readString(Path.of(setting("CUSTOMERS_KEY", null)));
        var der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
        var key = (java.security.interfaces.ECPrivateKey) KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(der));
        int bits = key.getParams().getOrder().bitLength(), size = bits / 8;
        // As `keys generate` and openssl write PKCS#8, it ends with x and y of the public key. If yours does not, set
        // CUSTOMERS_KEY_ID. RFC 7638: the thumbprint is the SHA-256 of the public key as a JWK.
        var x = base64url(Arrays.copyOfRange(der, der.length - 2 * size, der.length - size));
        var y = base64url(Arrays.copyOfRange(der, der.length - size, der.length));
        var jwk = "{\"crv\":\"P-%d\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}".formatted(bits, x, y);
        var kid = setting("CUSTOMERS_KEY_ID", base64url(sha256(jwk.getBytes(UTF_8))));

        long now = Instant.now().getEpochSecond();
        var claims = new TreeMap<String, Object>(Map.of("aud", setting("CUSTOMERS_AUDIENCE", "customers-api"), "iat", now, "exp", now + 300,
            "jti", UUID.randomUUID().toString(), "method", method, "path", path));
        if (!query.isEmpty()) {
            var params = new TreeMap<String, Object>(Arrays.stream(query.split("&")).filter(pair -> !pair.isEmpty())
                .map(pair -> pair.split("=", 2)).collect(Collectors.groupingBy(pair -> URLDecoder.decode(pair[0], UTF_8),
                    Collectors.mapping(pair -> pair.length == 1 ? "" : URLDecoder.decode(pair[1], UTF_8), Collectors.toList()))));
            params.replaceAll((name, values) -> ((List<?>) values).size() == 1 ? ((List<?>) values).get(0) : values);
            claims.put("queryParams", params);
        }
        if (body.length > 0) claims.put("bodyHash", HexFormat.of().formatHex(sha256(body)));

        var header = Map.of("alg", "ES" + bits, "kid", kid);
        var message = base64url(json(header).getBytes(UTF_8)) + "." + base64url(json(claims).getBytes(UTF_8));
        var signature = Signature.getInstance("SHA%dwithECDSAinP1363Format".formatted(bits));
        signature.initSign(key);
        signature.update(message.getBytes(UTF_8));
        return message + "." + base64url(signature.sign());
    }

    /** Sends the same signed request again after 500, 503 or a lost answer: the service carries it out at most once. */
    static HttpResponse<String> send(String method, String path, String query, byte[] body) throws Exception {
        var url = setting("CUSTOMERS_URL", "http://127.0.0.1:8080").replaceAll("/$", "") + path;
        var request = HttpRequest.newBuilder(URI.create(query.isEmpty() ? url : url + "?" + query))
            .method(method, body.length > 0 ? BodyPublishers.ofByteArray(body) : BodyPublishers.noBody())
            .header("Api-Signature", sign(method, URI.create(url).getRawPath(), query, body))
            .timeout(Duration.ofSeconds(30));
        if (body.length > 0) request.header("Content-Type", "application/json");
        for (int attempt = 1; ; attempt++) {
            try {
                var answer = HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
                if (attempt == 5 || answer.statusCode() != 500 && answer.statusCode() != 503) return answer;
            } catch (IOException lost) {
                if (attempt == 5) throw lost;
            }
            Thread.sleep(attempt * 1000L);
        }
    }

    /** What the environment says, or the default; without a default it must be there. */
    static String setting(String name, String orElse) {
        var value = System.getenv(name);
        if (value != null && !value.isEmpty()) return value;
        if (orElse == null) throw new IllegalStateException(name + " is not set: it must name the file with the private key");
        return orElse;
    }

    static String json(Object value) {
        if (value instanceof Number) return value.toString();
        if (value instanceof List<?> list) return list.stream().map(Sign::json).collect(Collectors.joining(",", "[", "]"));
        if (value instanceof Map<?, ?> map) return map.entrySet().stream()
            .map(member -> json(member.getKey()) + ":" + json(member.getValue())).collect(Collectors.joining(",", "{", "}"));
        return value.toString().chars().mapToObj(unit -> unit < ' ' || unit == '"' || unit == '\\'
            ? "\\u%04x".formatted(unit) : "" + (char) unit).collect(Collectors.joining("", "\"", "\""));
    }

    static String base64url(byte[] bytes) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    static byte[] sha256(byte[] bytes) throws Exception {
        return MessageDigest.getInstance("SHA-256").digest(bytes);
    }

    public static void main(String[] arguments) throws Exception {
        var given = Arrays.copyOf(arguments, 4);
        var body = given[3] == null ? new byte[0] : Files.readAllBytes(Path.of(given[3]));
        var answer = send(given[0], given[1], Objects.requireNonNullElse(given[2], ""), body);
        System.out.println(answer.statusCode() + "\n" + answer.body());
        System.exit(answer.statusCode() / 100 == 2 ? 0 : 1);
    }
}
