//! The end: what is to be said of each packet.

use super::*;

impl Tracer {
    pub(super) fn verdict(&self, trace: &Trace) -> Verdict {
        let (cure, effect) = (self.cure(trace), self.effect(trace));
        Verdict {
            packet: trace.id,
            from: trace.from,
            touched: trace.touched.clone(),
            reaction: trace.reaction,
            caught: caught(trace, &cure, &effect),
            cure,
            effect,
        }
    }

    pub(super) fn cure(&self, trace: &Trace) -> Cure {
        let broke = matches!(
            trace.effect,
            Effect::Wrong { .. }
                | Effect::Broke { .. }
                | Effect::UnprovenEnd { .. }
                | Effect::GaveUp { .. }
                | Effect::Unfinished
        );
        if broke || trace.alert.is_some() {
            return Cure::Nothing;
        }
        if trace.made {
            return if matches!(trace.reaction, Reaction::Reset | Reaction::Ended) {
                Cure::Nothing
            } else {
                Cure::NotNeeded
            };
        }
        match (trace.need, trace.delivered) {
            (Some(_), Some((_, by))) if trace.brought.unwrap_or(by) != trace.id => {
                let by = trace.brought.unwrap_or(by);
                let known = trace.resends.iter().find(|resend| resend.0 == by);
                match known.or(trace.resends.last()) {
                    Some(&(packet, time, why)) => Cure::Retransmission {
                        packet,
                        after: time.since(trace.sent),
                        why,
                    },
                    None => Cure::Itself,
                }
            }
            (Some(_), Some(_)) if trace.waited() || self.late(trace) > 0 => Cure::Itself,
            (Some(_), Some(_)) => Cure::NotNeeded,
            (Some(_), None) => Cure::Never {
                times: trace.resends.len() as u64,
                ack: false,
            },
            (None, _) => match (trace.reaction, trace.covered) {
                (Reaction::Taken, _) | (_, None) if trace.need_ack.is_none() => Cure::NotNeeded,
                (Reaction::Taken, _) => Cure::NotNeeded,
                (_, Some(packet)) => Cure::LaterAck { packet },
                (_, None) if self.knows(trace) => Cure::NotNeeded,
                (_, None) => Cure::Never {
                    times: trace.provoked,
                    ack: true,
                },
            },
        }
    }

    /// Whether the other side knows already what it was to acknowledge.
    pub(super) fn knows(&self, trace: &Trace) -> bool {
        let side = self.hosts.get(at(trace.from.other()));
        let una = side.and_then(|side| side.una);
        matches!((una, trace.need_ack), (Some(una), Some(ack)) if !after(ack, una))
    }

    /// How much later than usual the receiver had it.
    pub(super) fn late(&self, trace: &Trace) -> u64 {
        let [a, b] = self.latency;
        let usual = if trace.from == Host::A {
            a.or(b)
        } else {
            b.or(a)
        };
        let took = trace.delivered.map(|(time, _)| time.since(trace.sent));
        let late = took.unwrap_or(0).saturating_sub(usual.unwrap_or(0));
        if late < WAIT { 0 } else { late }
    }

    pub(super) fn effect(&self, trace: &Trace) -> Effect {
        if trace.effect != Effect::Nothing {
            return trace.effect.clone();
        }
        let unheard = self.hosts.iter().any(|side| !side.said.is_empty());
        if trace.reaction == Reaction::Reset && unheard {
            return Effect::Unfinished;
        }
        if trace.reaction == Reaction::Ended {
            let host = trace.from.other();
            return Effect::UnprovenEnd { host };
        }
        let missing = matches!(self.cure(trace), Cure::Never { .. });
        let over = !unheard && self.over.iter().all(Option::is_some);
        match (missing, over) {
            (true, true) => return Effect::Over,
            (true, false) if trace.need.is_some() && !self.failed => return Effect::Unfinished,
            _ => {}
        }
        let heard = self.over.get(at(trace.from.other())).copied().flatten();
        let had = trace.delivered.map(|(time, _)| time);
        match self.late(trace) {
            0 => Effect::Nothing,
            // In clear TCP's end is the goodbye.
            late if trace.end_alone && heard < had && heard.is_some() => Effect::LateEnd(late),
            late => Effect::Late(late),
        }
    }
}

fn caught(trace: &Trace, cure: &Cure, effect: &Effect) -> Caught {
    if let Some(alert) = trace.alert {
        return Caught::Alert(alert);
    }
    if trace.tls {
        return Caught::Tls;
    }
    match effect {
        // Somebody complained: TLS says goodbye before TCP does.
        Effect::UnprovenEnd { .. } if trace.effect == *effect => return Caught::NoGoodbye,
        Effect::Broke {
            error: ChatError::Truncated { .. },
            ..
        } => return Caught::NoGoodbye,
        Effect::Broke {
            error: ChatError::LineTooLong { .. },
            ..
        } => return Caught::Application,
        Effect::Wrong { .. } => return Caught::Nobody,
        _ => {}
    }
    // There are stacks that throw the data away together with an acknowledgment that is old by now.
    if trace.reaction == Reaction::Refused && trace.old_ack {
        return Caught::Check(Check::TcpAcknowledgment);
    }
    let noticed = trace.resends.first().map(|resend| match resend.2 {
        Why::Duplicates(_) | Why::Sack => Caught::Repeats,
        Why::Timeout(_) | Why::Probe(_) | Why::Recovery => Caught::NoAcknowledgment,
    });
    if let (true, Some(noticed)) = (trace.waited() && !trace.changed, noticed) {
        return noticed;
    }
    match trace.reaction {
        Reaction::Discarded(check) => Caught::Check(check),
        Reaction::OutOfWindow => Caught::Window,
        // What is far behind is as far off as what is far ahead.
        Reaction::Duplicate if trace.changed => Caught::Window,
        Reaction::Kept => Caught::Gap,
        Reaction::Refused => Caught::Tcp,
        Reaction::Duplicate if trace.made || noticed.is_none() => Caught::Duplicate,
        Reaction::Reset | Reaction::Ended => Caught::Nobody,
        Reaction::Taken if !matches!(cure, Cure::Itself | Cure::Retransmission { .. }) => {
            Caught::Nobody
        }
        _ => match noticed {
            Some(noticed) => noticed,
            None if trace.provoked > 0 => Caught::NoAcknowledgment,
            None if trace.gap => Caught::Gap,
            None => Caught::Nobody,
        },
    }
}

impl Trace {
    /// Whether it was made to wait.
    fn waited(&self) -> bool {
        let waits = |touch: &Touch| matches!(touch.deed, Deed::Held(_) | Deed::Delayed(_));
        self.touched.iter().any(waits)
    }
}

impl Tally {
    pub(super) fn count(&mut self, verdict: &Verdict) {
        self.touched += 1;
        *self.caught.entry(verdict.caught).or_default() += 1;
        *self.cured.entry(verdict.cure.name()).or_default() += 1;
        *self.effects.entry(verdict.effect.name()).or_default() += 1;
        if let Effect::Late(by) | Effect::LateEnd(by) = verdict.effect {
            self.longest = self.longest.max(by);
        }
    }

    /// How many were noticed by a layer.
    #[must_use]
    pub fn caught_by(&self, layer: Option<Layer>) -> u64 {
        let mine = self.caught.iter().filter(|(c, _)| c.layer() == layer);
        mine.map(|(_, n)| n).sum()
    }
}
