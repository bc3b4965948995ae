//! A client that sends an array of rows in one go, as `executemany` of MariaDB's own connectors does (COM_STMT_BULK_EXECUTE).

use std::io::{Read, Write};
use std::net::TcpStream;

/// Long flags, a database, protocol 4.1, transactions, secure log-in. Without the first bit (long passwords) it is a client of MariaDB's,
/// whose further abilities stand at the end of the reserved bytes.
const ABILITIES: u32 = 0x4 | 0x8 | 0x200 | 0x2000 | 0x8000;
/// Arrays of rows.
const BULK: u32 = 0x4;
const PREPARE: u8 = 0x16;
const BULK_EXECUTE: u8 = 0xfa;

/// A session of root in `shop`.
pub(super) struct Client(TcpStream);

impl Client {
    pub(super) fn connect(port: u16) -> Self {
        let mut client = Self(TcpStream::connect(("127.0.0.1", port)).expect("a connection"));
        client.packet();
        let mut login = Vec::new();
        login.extend(ABILITIES.to_le_bytes());
        login.extend((16_u32 << 20).to_le_bytes());
        login.push(45);
        login.extend([0; 19]);
        login.extend(BULK.to_le_bytes());
        login.extend(b"root\0\0shop\0");
        client.send(1, &login);
        assert_eq!(client.packet()[0], 0, "logged in");
        client
    }

    /// Begins a statement of one integer with these rows, without a wait for its end.
    pub(super) fn begin(&mut self, sql: &str, rows: &[i32]) {
        self.send(0, &[&[PREPARE], sql.as_bytes()].concat());
        let prepared = self.packet();
        assert_eq!(prepared[0], 0, "prepared");
        let (parameter, end) = (self.packet(), self.packet());
        assert!(!parameter.is_empty() && end[0] == 0xfe, "one parameter");
        // Types are sent: a signed INT.
        let mut body = [&[BULK_EXECUTE], &prepared[1..5], &128_u16.to_le_bytes(), &[3, 0]].concat();
        for row in rows {
            body.push(0);
            body.extend(row.to_le_bytes());
        }
        self.send(0, &body);
    }

    /// Waits for its end.
    pub(super) fn wait(&mut self) {
        let answer = self.packet();
        assert_eq!(answer[0], 0, "{}", String::from_utf8_lossy(&answer));
    }

    fn send(&mut self, number: u8, body: &[u8]) {
        let mut packet = (body.len() as u32).to_le_bytes();
        packet[3] = number;
        self.0.write_all(&[&packet, body].concat()).expect("sent");
    }

    fn packet(&mut self) -> Vec<u8> {
        let mut header = [0; 4];
        self.0.read_exact(&mut header).expect("a header");
        let mut body = vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize];
        self.0.read_exact(&mut body).expect("a packet");
        body
    }
}
