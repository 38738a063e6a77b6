//! Explains refused bodies, large ones on a thread of its own, so that an explanation does not delay other requests.

use std::{
    borrow::Cow,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use actix_web::web::Bytes;
use tokio::sync::{
    mpsc::{self, Receiver, Sender},
    oneshot,
};

use super::{error::ApiError, turns::Turns};
use crate::{account::Account, contract, model::RequestExtensionItem};

/// The largest body that a worker explains itself, in bytes. It takes about a millisecond.
const SMALL_BODY_BYTES_MAX: usize = 8 * 1024;

/// Explains small bodies at once, and large ones on a thread of its own, one after the other: an explanation may need
/// far more memory and time than reading the body. They are explained in turn by account.
pub(super) struct Explainer {
    questions: Sender<Question>,
    turns: Turns,
}

struct Question {
    schema: Cow<'static, str>,
    body: Bytes,
    reply: oneshot::Sender<Vec<RequestExtensionItem>>,
}

impl Explainer {
    pub(super) fn start() -> io::Result<Self> {
        let (sender, questions) = mpsc::channel(1);
        thread::Builder::new().name("explainer".to_owned()).spawn(move || answer(questions))?;
        // Who waits keeps the body, and takes it along when the client gives up.
        Ok(Self { questions: sender, turns: Turns::new(1) })
    }

    /// The violations of this schema by a body that the models refused.
    pub(super) async fn explain(
        &self,
        account: &Account,
        schema: Cow<'static, str>,
        body: &Bytes,
    ) -> Result<Vec<RequestExtensionItem>, ApiError> {
        let violations = if body.len() <= SMALL_BODY_BYTES_MAX {
            contract::explain(&schema, body)
        } else {
            let _turn = self.turns.take(account).await?;
            self.explain_elsewhere(schema, body).await?
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
        let (reply, violations) = oneshot::channel();
        let question = Question { schema, body: body.clone(), reply };
        self.questions.send(question).await.map_err(|error| ApiError::Internal(error.into()))?;
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
