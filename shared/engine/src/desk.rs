//! Many callers, few calls: each hands in an item and waits for its own answer, and the items that wait together go out in one
//! call. A caller that has to wait longer, for a pause or for a read, holds up no other.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::hash::FixedMap;
use crate::lock::lock;
use crate::portion::{CallLimit, next_portion};

/// Where items are handed in.
#[derive(Debug)]
pub(crate) struct Desk<T, A>(Mutex<Inner<T, A>>);

#[derive(Debug)]
struct Inner<T, A> {
    /// What is to go out, with its ticket, in the order in which it came.
    waiting: VecDeque<(usize, T)>,
    /// The callers, by ticket.
    callers: FixedMap<usize, Caller<A>>,
    tickets: usize,
}

#[derive(Debug)]
enum Caller<A> {
    /// Without an answer.
    Waits(Waker),
    /// With one, which it has not fetched yet.
    Answered(Option<A>),
}

impl<T, A> Default for Desk<T, A> {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            waiting: VecDeque::new(),
            callers: FixedMap::default(),
            tickets: 0,
        }))
    }
}

impl<T, A> Desk<T, A> {
    /// Hands an item in, and waits for its answer. `None`: every call was taken until it was too late to begin another.
    pub(crate) async fn ask(&self, item: T) -> Option<A> {
        let ticket = {
            let mut inner = self.lock();
            inner.tickets += 1;
            let ticket = inner.tickets;
            inner.waiting.push_back((ticket, item));
            ticket
        };
        poll_fn(|context| self.poll(ticket, context)).await
    }

    fn poll(&self, ticket: usize, context: &Context<'_>) -> Poll<Option<A>> {
        let mut inner = self.lock();
        match inner.callers.remove(&ticket) {
            Some(Caller::Answered(answer)) => Poll::Ready(answer),
            _ => {
                let waits = Caller::Waits(context.waker().clone());
                inner.callers.insert(ticket, waits);
                Poll::Pending
            }
        }
    }

    /// Takes what goes out in the next call.
    fn take(&self, limit: &CallLimit<T>) -> Option<(Vec<usize>, Vec<T>)> {
        let (tickets, items) = next_portion(&mut self.lock().waiting, limit);
        (!items.is_empty()).then_some((tickets, items))
    }

    /// Hands an answer out.
    fn answer(&self, ticket: usize, answer: Option<A>) {
        let caller = self.lock().callers.insert(ticket, Caller::Answered(answer));
        if let Some(Caller::Waits(waker)) = caller {
            waker.wake();
        }
    }

    /// Sends the first so many of those that wait away without an answer.
    fn send_away(&self, count: usize) {
        let gone: Vec<usize> = {
            let waiting = &mut self.lock().waiting;
            let count = count.min(waiting.len());
            waiting.drain(..count).map(|(ticket, _)| ticket).collect()
        };
        gone.into_iter().for_each(|ticket| self.answer(ticket, None));
    }

    fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T, A>> {
        lock(&self.0)
    }
}

/// Runs `callers` to their end. Beside them, what they hand in at the desk goes out, as soon as none of them can go on without
/// an answer: in `call`s within the limit, so many at once, each with an answer for every item. What had to wait for a call to
/// end is sent away once `is_late`.
pub(crate) async fn serve<T, A, R, F>(
    desk: &Desk<T, A>,
    limit: &CallLimit<T>,
    calls_max: usize,
    is_late: impl Fn() -> bool,
    call: impl Fn(Vec<T>) -> F,
    callers: impl Future<Output = R>,
) -> R
where
    F: Future<Output = Vec<A>>,
{
    let mut callers = pin!(callers);
    let mut calls = FuturesUnordered::new();
    // Of those that wait, how many had to wait for a call to end.
    let mut held_up = 0;
    poll_fn(move |context| {
        loop {
            if let Poll::Ready(done) = callers.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            let mut gets_on = held_up > 0 && is_late();
            if gets_on {
                desk.send_away(held_up);
            }
            while calls.len() < calls_max.max(1)
                && let Some((tickets, items)) = desk.take(limit)
            {
                let answers = call(items);
                calls.push(async move { (tickets, answers.await) });
            }
            held_up = desk.waiting();
            while let Poll::Ready(Some((tickets, answers))) = calls.poll_next_unpin(context) {
                gets_on = true;
                let answers = answers.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
                for (ticket, answer) in tickets.into_iter().zip(answers) {
                    desk.answer(ticket, answer);
                }
            }
            if !gets_on {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use futures_util::{FutureExt, future};

    use super::*;

    const LIMIT: CallLimit<usize> = CallLimit {
        items_max: 3,
        bytes_max: 10,
        bytes_of: |item| *item,
    };

    /// Lets so many callers ask once each; the calls that went out, and what each caller was told.
    fn asked(items: &[usize], answers_each: usize) -> (Vec<Vec<usize>>, Vec<Option<usize>>) {
        let (desk, calls) = (Desk::default(), RefCell::new(Vec::new()));
        let call = |items: Vec<usize>| {
            calls.borrow_mut().push(items.clone());
            let answers = items.into_iter().take(answers_each).map(|item| item * 10).collect();
            future::ready(answers)
        };
        let callers = future::join_all(items.iter().map(|item| desk.ask(*item)));
        let told = serve(&desk, &LIMIT, 2, || false, call, callers).now_or_never().unwrap();
        assert!(
            desk.lock().callers.is_empty() && desk.waiting() == 0,
            "nothing is left behind"
        );
        (calls.into_inner(), told)
    }

    #[test]
    fn what_waits_goes_out_together_within_the_limit_and_each_gets_its_own_answer() {
        let (calls, told) = asked(&[1, 2, 3, 4, 9, 2], 3);
        assert_eq!(calls, [vec![1, 2, 3], vec![4], vec![9], vec![2]]);
        assert_eq!(told, [10, 20, 30, 40, 90, 20].map(Some));
    }

    #[test]
    fn a_call_with_too_few_answers_leaves_nobody_waiting() {
        let (_, told) = asked(&[1, 2, 3], 2);
        assert_eq!(told, [Some(10), Some(20), None]);
    }

    #[test]
    fn what_had_to_wait_is_sent_away_when_it_is_late_and_what_comes_then_is_not() {
        let desk = Desk::default();
        let late = Cell::new(false);
        let call = |items: Vec<usize>| {
            late.set(true);
            future::ready(items)
        };
        let one = async { (desk.ask(9).await, desk.ask(7).await) };
        let callers = future::join(one, desk.ask(8));
        let told = serve(&desk, &LIMIT, 1, || late.get(), call, callers).now_or_never();
        assert_eq!(told.unwrap(), ((Some(9), Some(7)), None));
    }
}
