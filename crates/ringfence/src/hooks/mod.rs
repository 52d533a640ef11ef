//! The functions that stand before libc's, each under libc's name.
//!
//! They do what libc does unless a ring of ours is concerned. A call that the engine itself makes,
//! or the child of a vfork, goes straight through.

mod calls;
mod exec;
mod files;
mod libaio;
mod readiness;
mod signals;
mod sockets;
mod streams;
mod threads;
mod writes;

pub use crate::process::vfork;
pub use calls::*;
pub use exec::*;
pub use files::*;
pub use libaio::*;
pub use readiness::*;
pub use signals::*;
pub use sockets::*;
pub use streams::*;
pub use threads::*;
pub use writes::*;

/// Calls the macro `$then` with every replacement, as `name => function`: the preload exports them
/// under these names, `install` writes their addresses into the tables of loaded objects.
#[macro_export]
macro_rules! for_each_replacement {
    ($then:ident) => {
        $then! {
            syscall => $crate::hooks::syscall,
            io_uring_setup => $crate::hooks::io_uring_setup,
            io_uring_enter => $crate::hooks::io_uring_enter,
            io_uring_enter2 => $crate::hooks::io_uring_enter2,
            io_uring_register => $crate::hooks::io_uring_register,
            io_setup => $crate::hooks::io_setup,
            io_destroy => $crate::hooks::io_destroy,
            io_submit => $crate::hooks::io_submit,
            io_cancel => $crate::hooks::io_cancel,
            io_getevents => $crate::hooks::io_getevents,
            io_pgetevents => $crate::hooks::io_pgetevents,
            mmap => $crate::hooks::mmap,
            mmap64 => $crate::hooks::mmap,
            close => $crate::hooks::close,
            fclose => $crate::hooks::fclose,
            pclose => $crate::hooks::pclose,
            freopen => $crate::hooks::freopen,
            freopen64 => $crate::hooks::freopen64,
            closedir => $crate::hooks::closedir,
            write => $crate::hooks::write,
            writev => $crate::hooks::writev,
            eventfd_write => $crate::hooks::eventfd_write,
            send => $crate::hooks::send,
            sendto => $crate::hooks::sendto,
            shutdown => $crate::hooks::shutdown,
            sendmsg => $crate::hooks::sendmsg,
            sendmmsg => $crate::hooks::sendmmsg,
            dup => $crate::hooks::dup,
            dup2 => $crate::hooks::dup2,
            dup3 => $crate::hooks::dup3,
            fcntl => $crate::hooks::fcntl,
            fcntl64 => $crate::hooks::fcntl64,
            close_range => $crate::hooks::close_range,
            closefrom => $crate::hooks::closefrom,
            epoll_ctl => $crate::hooks::epoll_ctl,
            epoll_wait => $crate::hooks::epoll_wait,
            epoll_pwait => $crate::hooks::epoll_pwait,
            epoll_pwait2 => $crate::hooks::epoll_pwait2,
            poll => $crate::hooks::poll,
            __poll_chk => $crate::hooks::__poll_chk,
            ppoll => $crate::hooks::ppoll,
            __ppoll_chk => $crate::hooks::__ppoll_chk,
            select => $crate::hooks::select,
            pselect => $crate::hooks::pselect,
            sigaction => $crate::hooks::sigaction,
            __sigaction => $crate::hooks::sigaction,
            signal => $crate::hooks::signal,
            bsd_signal => $crate::hooks::signal,
            ssignal => $crate::hooks::signal,
            sysv_signal => $crate::hooks::sysv_signal,
            __sysv_signal => $crate::hooks::sysv_signal,
            sigset => $crate::hooks::sigset,
            sigprocmask => $crate::hooks::sigprocmask,
            pthread_sigmask => $crate::hooks::pthread_sigmask,
            sigsuspend => $crate::hooks::sigsuspend,
            pthread_create => $crate::hooks::pthread_create,
            thrd_create => $crate::hooks::thrd_create,
            unshare => $crate::hooks::unshare,
            setns => $crate::hooks::setns,
            setfsuid => $crate::hooks::setfsuid,
            setfsgid => $crate::hooks::setfsgid,
            vfork => $crate::hooks::vfork,
            __vfork => $crate::hooks::vfork,
            _Fork => $crate::hooks::_Fork,
            execv => $crate::hooks::execv,
            execvp => $crate::hooks::execvp,
            execve => $crate::hooks::execve,
            execvpe => $crate::hooks::execvpe,
            fexecve => $crate::hooks::fexecve,
            execveat => $crate::hooks::execveat,
            posix_spawn => $crate::hooks::posix_spawn,
            posix_spawnp => $crate::hooks::posix_spawnp,
            dlopen => $crate::hooks::dlopen,
            dlmopen => $crate::hooks::dlmopen,
        }
    };
}
