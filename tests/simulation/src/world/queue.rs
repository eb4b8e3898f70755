//! A queue as SQS has it: what is received is hidden for a while, comes again when nobody deletes it, and a short look may
//! miss what is there.

use tidemark_redrive::port::Received;

/// A queue.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    messages: Vec<Message>,
    sent: u64,
    receipts: u64,
    /// An ablation: a message is gone once it was received.
    pub forgets_received: bool,
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Its text.
    pub body: String,
    /// When it was sent, ms since 1970-01-01T00:00:00Z.
    pub sent_ms: i64,
    visible_ms: i64,
    /// The newest receipt; older ones are no longer good.
    receipt: u64,
}

/// Messages of one receive.
const RECEIVE_MAX: usize = 10;

impl Queue {
    /// Puts a message there.
    pub fn send(&mut self, body: String, now_ms: i64) {
        self.sent += 1;
        self.messages.push(Message {
            id: format!("m{}", self.sent),
            body,
            sent_ms: now_ms,
            visible_ms: now_ms,
            receipt: 0,
        });
    }

    /// Hands over messages and hides them for `hidden_s`. A look that does not wait asks a part of the servers only: the bits
    /// of `missed` say which messages it does not see.
    pub fn receive(&mut self, most: usize, wait_s: u32, hidden_s: u32, missed: u64, now_ms: i64) -> Vec<Received> {
        let mut received = Vec::new();
        for (at, message) in self.messages.iter_mut().enumerate() {
            if received.len() >= most.min(RECEIVE_MAX) {
                break;
            }
            let is_missed = wait_s == 0 && missed >> (at % 64) & 1 == 1;
            if message.visible_ms > now_ms || is_missed {
                continue;
            }
            self.receipts += 1;
            message.receipt = self.receipts;
            message.visible_ms = now_ms + i64::from(hidden_s) * 1_000;
            received.push(Received {
                id: message.id.clone(),
                receipt: self.receipts.to_string(),
                body: message.body.clone(),
                sent_ms: message.sent_ms,
            });
        }
        if self.forgets_received {
            self.messages.retain(|message| message.visible_ms <= now_ms);
        }
        received
    }

    /// Deletes by receipts but for those that the bits of `left_out` name; answers which were not.
    pub fn delete(&mut self, receipts: &[String], left_out: u64) -> Vec<usize> {
        let mut not_deleted = Vec::new();
        for (at, receipt) in receipts.iter().enumerate() {
            if left_out >> (at % 64) & 1 == 1 {
                not_deleted.push(at);
            } else if let Ok(receipt) = receipt.parse::<u64>() {
                self.messages.retain(|message| message.receipt != receipt);
            }
        }
        not_deleted
    }

    /// Makes messages visible at once.
    pub fn release(&mut self, receipts: &[String], now_ms: i64) {
        for receipt in receipts.iter().filter_map(|receipt| receipt.parse::<u64>().ok()) {
            if let Some(message) = self.messages.iter_mut().find(|message| message.receipt == receipt) {
                message.visible_ms = now_ms;
            }
        }
    }

    /// When the next message can be received; `None`: there is none.
    #[must_use]
    pub fn next_visible_ms(&self) -> Option<i64> {
        self.messages.iter().map(|message| message.visible_ms).min()
    }

    /// Everything in it, hidden or not.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Takes a message out, by its place: on purpose, as nobody who works for the pipeline does.
    pub fn take(&mut self, at: usize) -> Message {
        self.messages.remove(at)
    }
}
