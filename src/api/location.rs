/// A path relative to itself, so that it is right whatever a proxy puts before it or takes away. `a:b` alone would be a
/// URI with a scheme, and `..` another path (RFC 3986, 4.2 and 5.2.4).
pub(super) fn location(path: &str) -> String {
    match path.rsplit('/').next().unwrap_or_default() {
        dots @ ("." | "..") => format!("./{}", dots.replace('.', "%2E")),
        segment => format!("./{segment}"),
    }
}
