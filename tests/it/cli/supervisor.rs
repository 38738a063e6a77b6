//! What systemd is told.

use std::{os::unix::net::UnixDatagram, time::Duration};

use super::Place;
use crate::support::Service;

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// The socket of a supervisor.
struct Supervisor(UnixDatagram);

impl Supervisor {
    /// The next message that is not a sign of life.
    fn hears(&self) -> Vec<String> {
        loop {
            let lines = self.hears_anything();
            if lines != ["WATCHDOG=1"] {
                return lines;
            }
        }
    }

    fn hears_anything(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).unwrap();
        str::from_utf8(&message[..length]).unwrap().lines().map(str::to_owned).collect()
    }
}

/// Starts a service below a supervisor.
fn start(place: &Place, environment: &[(&str, &str)]) -> (Supervisor, Service) {
    let path = place.file("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let environment = [&[("NOTIFY_SOCKET", path.to_str().unwrap())], environment].concat();
    let service = Service::start_with(&place.database_url(), &place.file("log"), &[], &environment);
    (Supervisor(socket), service)
}

#[test]
fn systemd_is_told_that_the_service_is_ready_and_that_it_stops() {
    let place = Place::new();
    let (supervisor, service) = start(&place, &[]);
    let [ready, status] = &supervisor.hears()[..] else { panic!("two lines") };
    assert_eq!(ready, "READY=1");
    assert_eq!(*status, format!("STATUS=serving http://{}/", service.address));

    service.signal("-TERM");

    let stopping = supervisor.hears();
    assert_eq!(stopping[0], "STOPPING=1");
    assert!(service.wait().success());
}

#[test]
fn systemd_hears_that_the_process_is_alive() {
    let place = Place::new();
    let (supervisor, _service) = start(&place, &[("WATCHDOG_USEC", "100000")]);
    let heard: Vec<_> = (0..4).map(|_| supervisor.hears_anything()).collect();
    assert!(heard.iter().filter(|lines| **lines == ["WATCHDOG=1"]).count() >= 3, "{heard:?}");
}

#[test]
fn a_supervisor_that_is_gone_does_not_stop_the_service() {
    let place = Place::new();
    let environment = [("NOTIFY_SOCKET", "/no/such/socket")];
    let service = Service::start_with(&place.database_url(), &place.file("log"), &[], &environment);
    service.signal("-TERM");
    assert!(service.wait().success());
    assert!(place.log().contains("systemd was not told"), "{}", place.log());
}
