//! Threads that the service cannot do without.
//!
//! Such a thread ends only when nobody needs it any more. If it ends earlier, by a panic for example, [`Threads::ended`]
//! says so, and the process ends: a supervisor starts it again, which is better than a service that cannot write.

use std::{io, sync::Arc, thread};

use tokio::sync::watch;

/// A set of threads. Clones share the set.
#[derive(Debug, Clone, Default)]
pub struct Threads(Arc<watch::Sender<Option<&'static str>>>);

impl Threads {
    /// Starts a thread.
    pub fn spawn(&self, name: &'static str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let guard = Guard { name, ended: Arc::clone(&self.0) };
        let run = move || {
            let _guard = guard;
            run();
        };
        thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
    }

    /// The first thread that has ended.
    pub fn first_ended(&self) -> Option<&'static str> {
        *self.0.borrow()
    }

    /// Waits until one of the threads has ended, and returns its name.
    pub async fn ended(&self) -> &'static str {
        let mut ended = self.0.subscribe();
        match ended.wait_for(Option::is_some).await.map(|name| *name) {
            Ok(Some(name)) => name,
            // `self` holds the sender, so the channel is open.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

/// Lets all other threads go first: from now on, this one runs on processors that have nothing else to do, and gives way at once
/// when they have. Only Linux knows such threads.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = linux::give_way() {
        tracing::debug!(?error, "a thread has the same priority as the others");
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use thread_priority::{
        Error, NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id,
    };

    pub(super) const POLICY: ThreadSchedulePolicy =
        ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

    pub(super) fn give_way() -> Result<(), Error> {
        set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, POLICY)
    }
}

/// Reports the end of a thread, by a return as by a panic.
struct Guard {
    name: &'static str,
    ended: Arc<watch::Sender<Option<&'static str>>>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.ended.send_if_modified(|ended| ended.replace(self.name).is_none());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_that_gives_way_is_for_idle_processors() {
        let policy = || thread_priority::thread_schedule_policy().unwrap();
        assert_ne!(policy(), linux::POLICY);
        let given_way = thread::spawn(move || {
            give_way();
            policy()
        });
        assert_eq!(given_way.join().unwrap(), linux::POLICY);
        assert_ne!(policy(), linux::POLICY);
    }

    #[tokio::test]
    #[allow(clippy::panic, reason = "what is tested is a panic")]
    async fn a_thread_that_panics_is_reported() {
        let threads = Threads::default();
        threads.spawn("steady", loop_until_unparked).unwrap();
        assert_eq!(threads.ended().now_or_never(), None, "no thread has ended");
        assert_eq!(threads.first_ended(), None);
        threads.spawn("broken", || panic!("for the test")).unwrap();
        assert_eq!(threads.ended().await, "broken");
        assert_eq!(threads.first_ended(), Some("broken"));
    }

    #[tokio::test]
    async fn a_thread_that_returns_is_reported_also_to_late_callers() {
        let threads = Threads::default();
        threads.spawn("short", || ()).unwrap();
        assert_eq!(threads.ended().await, "short");
        assert_eq!(threads.ended().await, "short");
    }

    /// Ends with the process.
    fn loop_until_unparked() {
        loop {
            thread::park();
        }
    }
}
