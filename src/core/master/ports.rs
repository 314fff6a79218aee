//! Ports that root binds for this master.

use super::{Caller, Master};
use crate::core::hot_reload::journal as reload;
use crate::core::journal;
use crate::core::ports::Question;

impl Master {
    pub(super) fn ports(&mut self, question: Question) {
        match question {
            Question::Missing(addresses, reply) => {
                let held = addresses.iter().map(|address| self.sockets.holds(address));
                let missing = held.enumerate().filter(|(_, held)| !held);
                let _ = reply.send(missing.map(|(place, _)| place).collect());
            }
            Question::Bound(sockets, refused) => {
                for socket in sockets {
                    self.sockets.accept(socket);
                }
                for (address, problem) in refused {
                    self.sockets.refuse(address, problem);
                }
            }
            Question::Declined(reason) => {
                journal::ports_declined(&reason);
                self.sockets.decline(reason);
            }
            // Otherwise the sockets wait for the reload that the operator asks for.
            Question::Done(reply) => {
                if !self.missing().is_empty() {
                    reload::triggered("root brings ports that were missing");
                    self.request_reload(Some(Caller::Task(reply, None)));
                }
            }
        }
    }
}
