//! What clients are sent beside the answers to their own commands: messages, and answers to commands that waited.
//!
//! What is for the client whose command runs stands before the answer to it, as in the buffer of the real server,
//! unless the answer was there first.

use super::Engine;
use super::client::ClientId;
use crate::redis::resp::Reply;

/// Something for a client beside the answer to its own command: a message, or the answer to a command that
/// waited.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Whom it is for.
    pub to: ClientId,
    /// The version of the protocol to send it in.
    pub protocol: u8,
    /// What to send.
    pub reply: Reply,
    /// Whether it comes after the answer to the command that caused it, if both are for the same client.
    pub after: bool,
    /// Whether the connection is closed once it has this.
    pub last: bool,
}

impl Engine {
    /// What is to be sent beside the answers, in order, since the last call.
    pub fn take_deliveries(&mut self) -> Vec<Delivery> {
        let mut deliveries = std::mem::take(&mut self.deliveries);
        deliveries.append(&mut self.take_replica_deliveries());
        deliveries
    }

    /// Whether there is something to be sent beside the answers.
    #[must_use]
    pub fn has_deliveries(&self) -> bool {
        !self.deliveries.is_empty()
    }

    /// Sends a client something beside the answer to its own command: at once, and so before that answer.
    pub(crate) fn push(&mut self, to: ClientId, reply: Reply) {
        self.deliver(to, reply, self.is_answered);
    }

    /// Sends a client something at once, and ends its connection.
    pub(crate) fn push_last(&mut self, to: ClientId, reply: Reply) {
        let sent = self.deliveries.len();
        self.push(to, reply);
        self.deliveries[sent..].iter_mut().for_each(|delivery| delivery.last = true);
    }

    /// Sends a client something beside the answer to its own command, and after that answer.
    pub(crate) fn push_after(&mut self, to: ClientId, reply: Reply) {
        self.deliver(to, reply, true);
    }

    fn deliver(&mut self, to: ClientId, reply: Reply, after: bool) {
        let Some(client) = self.clients.get_mut(&to) else { return };
        if client.hears(&reply) {
            client.used = self.at;
            self.deliveries.push(Delivery { to, protocol: client.protocol, reply, after, last: false });
        }
        self.arm_idle();
    }

    /// Takes back what was sent to a client at once since there were `from` things to be sent.
    pub(crate) fn recall(&mut self, from: usize, to: ClientId) -> Vec<Reply> {
        let is_own = |delivery: &mut Delivery| delivery.to == to && !delivery.after;
        self.deliveries.extract_if(from.., is_own).map(|delivery| delivery.reply).collect()
    }

    /// Takes back all that was sent to a client since there were `from` things to be sent.
    pub(super) fn recall_all(&mut self, from: usize, to: ClientId) -> Vec<Reply> {
        self.deliveries
            .extract_if(from.., |delivery| delivery.to == to)
            .map(|delivery| delivery.reply)
            .collect()
    }

    /// Sends what there is to be sent since `from` before the answer, if that was not there first: a command has
    /// yet to run, and this is not its doing.
    pub(super) fn hasten(&mut self, from: usize) {
        let after = self.is_answered;
        self.deliveries[from..].iter_mut().for_each(|delivery| delivery.after = after);
    }

    /// How many things are to be sent.
    pub(crate) fn deliveries(&self) -> usize {
        self.deliveries.len()
    }
}
