use std::{fs, path::Path, sync::Arc};

use h2::{
    Reason, RecvStream, SendStream,
    client::{Builder, Connection, SendRequest},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{net::TcpStream, task::JoinHandle};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A connection with HTTP/2.
pub(super) struct Http2 {
    pub(super) send: SendRequest<actix_web::web::Bytes>,
    /// Ends with the connection: with an error unless the server closed it in good order.
    pub(super) ended: JoinHandle<Result<(), h2::Error>>,
    /// What the server presented.
    pub(super) certificate: Vec<u8>,
}

/// A TLS connection that offers this protocol, to a server whose certificate is from the CA in the folder.
pub(super) async fn connect(folder: &Path, address: &str, protocol: &str) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&folder.join("ca.crt")).into()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// The certificate in a file.
pub(super) fn certificate(file: &Path) -> Vec<u8> {
    CertificateDer::from_pem_slice(&fs::read(file).unwrap()).unwrap().to_vec()
}

impl Http2 {
    pub(super) async fn connect(folder: &Path, address: &str) -> Self {
        let stream = connect(folder, address, "h2").await;
        let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let (send, connection): (_, Connection<_, _>) = Builder::new().handshake(stream).await.unwrap();
        let ended = tokio::task::spawn(connection);
        Self { send: send.ready().await.unwrap(), ended, certificate }
    }

    /// Begins a request that has a body, or none.
    pub(super) async fn begin(
        &self,
        method: &str,
        path: &str,
        has_body: bool,
    ) -> (h2::client::ResponseFuture, SendStream<actix_web::web::Bytes>) {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"))
            .header("content-type", "application/json")
            .body(())
            .unwrap();
        let mut send = self.send.clone().ready().await.unwrap();
        send.send_request(request, !has_body).unwrap()
    }

    /// Sends a request; its status and its body.
    pub(super) async fn send(&self, method: &str, path: &str, body: &str) -> (u16, Vec<u8>) {
        let (answer, mut stream) = self.begin(method, path, !body.is_empty()).await;
        if !body.is_empty() {
            stream.send_data(body.to_owned().into(), true).unwrap();
        }
        let answer = answer.await.unwrap();
        (answer.status().as_u16(), read(answer.into_body()).await)
    }
}

/// The whole body of an answer.
pub(super) async fn read(mut body: RecvStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            // The server has said everything, and does not want the rest of the request (RFC 9113, 8.1).
            Err(error) if error.reason() == Some(Reason::NO_ERROR) => break,
            Err(error) => panic!("{error}"),
        };
        body.flow_control().release_capacity(chunk.len()).unwrap();
        bytes.extend_from_slice(&chunk);
    }
    bytes
}
