//! Explains refused bodies, large ones on a thread of its own, so that an explanation does not delay other requests.

use std::{
    borrow::Cow,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use actix_web::web::Bytes;
use tokio::{
    sync::{
        mpsc::{self, Receiver, Sender},
        oneshot,
    },
    time::timeout,
};

use super::error::ApiError;
use crate::{contract, model::RequestExtensionItem};

/// The largest body that a worker explains itself, in bytes. It takes about a millisecond.
const SMALL_BODY_BYTES_MAX: usize = 8 * 1024;

/// How long a body waits for its explanation.
const EXPLANATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Explains small bodies at once, and large ones on a thread of its own, one after the other: an explanation may need
/// far more memory and time than reading the body.
pub(super) struct Explainer(Sender<Question>);

struct Question {
    schema: Cow<'static, str>,
    body: Bytes,
    reply: oneshot::Sender<Vec<RequestExtensionItem>>,
}

impl Explainer {
    pub(super) fn start() -> io::Result<Self> {
        // Who waits keeps the body, and takes it along when the client gives up.
        let (sender, questions) = mpsc::channel(1);
        thread::Builder::new().name("explainer".to_owned()).spawn(move || answer(questions))?;
        Ok(Self(sender))
    }

    /// The violations of this schema by a body that the models refused.
    pub(super) async fn explain(
        &self,
        schema: Cow<'static, str>,
        body: &Bytes,
    ) -> Result<Vec<RequestExtensionItem>, ApiError> {
        let violations = if body.len() <= SMALL_BODY_BYTES_MAX {
            contract::explain(&schema, body)
        } else {
            let explained = timeout(EXPLANATION_TIMEOUT, self.explain_elsewhere(schema, body)).await;
            explained.map_err(|late| ApiError::Unavailable(Some(late.into())))??
        };
        if violations.is_empty() {
            return Err(ApiError::Internal("the models refuse a body that the contract accepts".into()));
        }
        Ok(violations)
    }

    async fn explain_elsewhere(
        &self,
        schema: Cow<'static, str>,
        body: &Bytes,
    ) -> Result<Vec<RequestExtensionItem>, ApiError> {
        let turn = self.0.reserve().await.map_err(|error| ApiError::Internal(error.into()))?;
        let (reply, violations) = oneshot::channel();
        turn.send(Question { schema, body: body.clone(), reply });
        violations.await.map_err(|_| ApiError::Internal("the explanation panicked".into()))
    }
}

fn answer(mut questions: Receiver<Question>) {
    while let Some(Question { schema, body, reply }) = questions.blocking_recv() {
        if reply.is_closed() {
            continue;
        }
        // A panic is an error of its request alone, as it is on a worker: it drops the reply.
        let explained = catch_unwind(AssertUnwindSafe(|| contract::explain(&schema, &body)));
        drop(explained.map(|violations| reply.send(violations)));
    }
}
