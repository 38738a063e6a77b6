use prometheus::{Error as MetricsError, Gauge};

/// When the certificate expires that clients are shown, as a metric. Clones share it.
#[derive(Debug, Clone)]
pub struct CertificateExpiry(pub(super) Gauge);

impl CertificateExpiry {
    /// Not known yet.
    pub fn new() -> Result<Self, MetricsError> {
        let gauge = Gauge::new(
            "customers_tls_certificate_expiry_timestamp_seconds",
            "When the TLS certificate expires, in seconds since the Unix epoch.",
        );
        gauge.map(Self)
    }

    /// Notes the time, in seconds since the Unix epoch.
    pub fn set(&self, seconds: f64) {
        self.0.set(seconds);
    }
}
