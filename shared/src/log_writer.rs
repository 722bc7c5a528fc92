//! Writes log lines on a separate thread, so that a slow or closed output can't block or stop the program.
//!
//! A line is dropped and counted if it can't be written (full disk, closed pipe) or if the queue is full (a reader that does
//! not read). The count is logged as soon as a line can be written again.
//!
//! `tracing-appender` does not count failed writes, and it prints to standard output if its queue is full at the end of the
//! program.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// The maximum number of queued lines. Further ones are dropped.
const QUEUE: usize = 4096;

/// How long the program waits at its end for queued lines.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// The lines lost since the program started. It is per process, like standard error.
static LOST: AtomicU64 = AtomicU64::new(0);

/// The number of log lines lost since the program started.
#[must_use]
pub fn lost_lines() -> u64 {
    LOST.load(Relaxed)
}

/// How often queueing the last line is retried if the queue is full.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// A handle to the writing thread. Writing to it never blocks and never fails.
#[derive(Clone, Debug)]
pub struct LogWriter {
    tasks: SyncSender<Task>,
    lost: &'static AtomicU64,
}

#[derive(Debug)]
enum Task {
    Line(Vec<u8>),
    /// Answered when all lines before it are written.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread. `notice` formats the line that reports lost lines.
    pub fn start<W>(out: W, notice: fn(u64) -> String) -> Self
    where
        W: Write + Send + 'static,
    {
        Self::start_counting(out, notice, &LOST)
    }

    fn start_counting<W>(out: W, notice: fn(u64) -> String, lost: &'static AtomicU64) -> Self
    where
        W: Write + Send + 'static,
    {
        let (tasks, queue) = sync_channel(QUEUE);
        let worker = Worker { out, notice, lost, reported: 0, is_truncated: false };
        let started = thread::Builder::new().name("log".to_owned()).spawn(move || worker.work(&queue));
        // Without a thread the receiver is gone, and each line counts as lost.
        drop(started);
        Self { tasks, lost }
    }

    /// Queues a line, or drops and counts it.
    pub fn line(&self, line: &[u8]) {
        if self.tasks.try_send(Task::Line(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// Queues the last line and waits until all lines are written. Waits at most a second for each, because the reader may
    /// not read.
    pub fn end(&self, last: Option<&str>) {
        let deadline = Instant::now() + END_TIMEOUT;
        if let Some(last) = last {
            self.send_by(deadline, Task::Line(last.as_bytes().to_vec()));
        }
        let (done, written) = sync_channel(1);
        self.send_by(deadline, Task::Flush(done));
        // Without an answer, the queued lines are lost.
        let _ = written.recv_timeout(END_TIMEOUT);
    }

    fn send_by(&self, deadline: Instant, mut task: Task) {
        while let Err(TrySendError::Full(back)) = self.tasks.try_send(task) {
            if Instant::now() >= deadline {
                return;
            }
            task = back;
            thread::sleep(RETRY_INTERVAL);
        }
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &LogWriter {
    /// One complete line, as passed by the subscriber.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread's state.
struct Worker<W> {
    out: W,
    notice: fn(u64) -> String,
    lost: &'static AtomicU64,
    /// The number of lost lines that were already reported.
    reported: u64,
    /// Whether the last write ended in the middle of a line.
    is_truncated: bool,
}

impl<W: Write> Worker<W> {
    fn work(mut self, tasks: &Receiver<Task>) {
        for task in tasks {
            self.report_lost();
            match task {
                Task::Line(line) => {
                    if self.write(&line).is_err() {
                        self.lost.fetch_add(1, Relaxed);
                    }
                }
                Task::Flush(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    fn report_lost(&mut self) {
        let lost = self.lost.load(Relaxed);
        if lost > self.reported {
            let notice = (self.notice)(lost - self.reported);
            if self.write(notice.as_bytes()).is_ok() {
                self.reported = lost;
            }
        }
    }

    /// Writes a line. After a truncated line it starts a new one.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_truncated {
            self.out.write_all(b"\n")?;
            self.is_truncated = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.out.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = rest.get(written..).unwrap_or_default();
                    self.is_truncated = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Sender};
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A disk with limited room.
    #[derive(Clone, Default)]
    struct Disk {
        room: Arc<Mutex<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut room = self.room.lock().unwrap();
            let taken = bytes.len().min(*room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= taken;
            self.written.lock().unwrap().extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A pipe whose reader reads only on request.
    struct Pipe(mpsc::Receiver<()>, Sender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn notice(lost: u64) -> String {
        format!("{lost} lost\n")
    }

    #[test]
    fn lines_lost_on_a_full_disk_are_counted_and_reported_later() {
        static LOST: AtomicU64 = AtomicU64::new(0);
        let disk = Disk::default();
        *disk.room.lock().unwrap() = 3;
        let writer = LogWriter::start_counting(disk.clone(), notice, &LOST);
        writer.line(b"one\n");
        writer.line(b"two\n");
        writer.end(None);
        assert_eq!(LOST.load(Relaxed), 2);
        *disk.room.lock().unwrap() = 100;
        writer.end(Some("three\n"));
        // The truncated line does not run into the next one.
        assert_eq!(String::from_utf8_lossy(&disk.written.lock().unwrap()), "one\n2 lost\nthree\n");
    }

    #[test]
    fn a_reader_that_does_not_read_blocks_nothing() {
        static LOST: AtomicU64 = AtomicU64::new(0);
        let (go, gate) = mpsc::channel();
        let (out, read) = mpsc::channel();
        let writer = LogWriter::start_counting(Pipe(gate, out), notice, &LOST);
        // At most one line is being written, and the queue is full.
        for _ in 0..QUEUE + 10 {
            writer.line(b"line\n");
        }
        assert!((9..=10).contains(&LOST.load(Relaxed)));
        (0..QUEUE + 10).for_each(|_| go.send(()).unwrap());
        assert!(read.iter().take(QUEUE).any(|line| line.ends_with(b" lost\n")));
    }
}
