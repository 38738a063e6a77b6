//! The TLS handshake, and the answer to a client that does not speak TLS.

use std::{io, sync::Arc};

use actix_web::ResponseError as _;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{api::error::ApiError, random};

/// The first byte of a TLS connection: a record of the handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// How many bytes may wait to be encrypted or to be sent.
const BUFFER_BYTES: usize = 16 * 1024;

/// The TLS connection; `None` if the client does not speak TLS.
pub(super) async fn accept(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? > 0 && first != [HANDSHAKE] {
        refuse(&mut stream).await?;
        return Ok(None);
    }
    let bound = |connection: &mut rustls::ServerConnection| connection.set_buffer_limit(Some(BUFFER_BYTES));
    TlsAcceptor::from(config).accept_with(stream, bound).await.map(Some)
}

/// Says in plain HTTP that this is the wrong protocol.
async fn refuse(stream: &mut TcpStream) -> io::Result<()> {
    let error = ApiError::TlsRequired;
    let body = serde_json::to_string(&error.body(random::uuid(), None))?;
    let answer = format!(
        "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n{body}",
        error.status_code(),
        body.len(),
    );
    // Bytes that nobody read would reset the connection, and the answer with it.
    let _ = stream.read(&mut [0; 4096]).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
