//! Where a connection waits for the answer to its parked request.
//!
//! At most one request of a connection is under way, so there is room for one answer; closing takes it away. Much
//! smaller than a channel, since most of ten thousand connections wait for nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::wire::frame::Frame;

/// See the module's text. One task waits at a time.
#[derive(Default)]
pub(crate) struct Mailbox {
    mail: Mutex<Mail>,
    news: Notify,
}

#[derive(Default)]
struct Mail {
    answer: Option<Frame>,
    closed: bool,
}

/// The node died, or cut the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shut;

impl Mailbox {
    pub fn put(&self, answer: Frame) {
        self.lock().answer = Some(answer);
        self.news.notify_one();
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// Waits for the answer.
    pub async fn take(&self) -> Result<Frame, Shut> {
        loop {
            if let Some(news) = self.look() {
                return news;
            }
            self.news.notified().await;
        }
    }

    fn look(&self) -> Option<Result<Frame, Shut>> {
        let mut mail = self.lock();
        if mail.closed { Some(Err(Shut)) } else { mail.answer.take().map(Ok) }
    }

    /// Waits until it is closed.
    pub async fn closed(&self) {
        while !self.lock().closed {
            self.news.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_wakes_its_waiter_and_none_comes_after_closing() {
        let mailbox = Mailbox::default();
        let taking = mailbox.take();
        tokio::pin!(taking);
        assert!(futures::poll!(&mut taking).is_pending());
        mailbox.put(Frame::default());
        assert!(taking.await.is_ok());
        mailbox.put(Frame::default());
        mailbox.close();
        assert_eq!(mailbox.take().await.err(), Some(Shut));
        mailbox.closed().await;
    }
}
