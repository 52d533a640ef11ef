//! `IORING_REGISTER_NAPI`: kept and told, without effect. To poll a device's queue instead of
//! waiting for its interrupt is a hint that only the kernel can follow; no result depends on it.

use crate::ring::Ring;
use crate::submit::Submit;
use ringfence_abi::*;
use ringfence_host::sync::Arc;
use ringfence_host::{Host, plain};

const REGISTER: u8 = 0;
const ADD_ID: u8 = 1;
const DELETE_ID: u8 = 2;

const DYNAMIC: u32 = 0;
const STATIC: u32 = 1;
const INACTIVE: u32 = 255;

/// Smallest id of a device's queue; smaller ones are those of senders.
const ID_MIN: u32 = 1;

/// What is registered.
#[derive(Debug)]
pub(crate) struct Polling {
    busy_poll_to: u32,
    prefer: bool,
    strategy: u32,
    ids: Vec<u32>,
}

impl Default for Polling {
    fn default() -> Self {
        Polling { busy_poll_to: 0, prefer: false, strategy: INACTIVE, ids: Vec::new() }
    }
}

impl Polling {
    fn as_told(&self) -> Napi {
        Napi {
            busy_poll_to: self.busy_poll_to,
            prefer_busy_poll: u8::from(self.prefer),
            op_param: self.strategy,
            ..Napi::default()
        }
    }

    fn change(&mut self, wanted: &Napi) -> Result<()> {
        let id = wanted.op_param;
        match wanted.opcode {
            REGISTER if wanted.op_param == DYNAMIC || wanted.op_param == STATIC => {
                let prefer = wanted.prefer_busy_poll != 0;
                let (busy_poll_to, strategy) = (wanted.busy_poll_to, wanted.op_param);
                *self = Polling { busy_poll_to, prefer, strategy, ids: Vec::new() };
                Ok(())
            }
            ADD_ID | DELETE_ID if self.strategy != STATIC || id < ID_MIN => Err(Errno::EINVAL),
            ADD_ID if self.ids.contains(&id) => Err(Errno::EEXIST),
            ADD_ID => {
                self.ids.push(id);
                Ok(())
            }
            DELETE_ID => {
                let at = self.ids.iter().position(|other| *other == id).ok_or(Errno::ENOENT)?;
                self.ids.swap_remove(at);
                Ok(())
            }
            _ => Err(Errno::EINVAL),
        }
    }
}

pub(super) fn register<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if arg == 0 || nr != 1 || ring.has(IORING_SETUP_IOPOLL) {
        return Err(Errno::EINVAL);
    }
    let wanted: Napi = plain::read(&ring.host, arg)?;
    if wanted.pad != [0; 2] || wanted.resv != 0 {
        return Err(Errno::EINVAL);
    }
    plain::write(&ring.host, arg, &sub.registered.polling.as_told())?;
    sub.registered.polling.change(&wanted).map(|()| 0)
}

pub(super) fn unregister<H: Host>(
    ring: &Arc<Ring<H>>,
    sub: &mut Submit<H>,
    arg: u64,
    nr: u32,
) -> Result<u32> {
    if nr != 1 {
        return Err(Errno::EINVAL);
    }
    if arg != 0 {
        let told = Napi { op_param: 0, ..sub.registered.polling.as_told() };
        plain::write(&ring.host, arg, &told)?;
    }
    sub.registered.polling = Polling::default();
    Ok(0)
}
