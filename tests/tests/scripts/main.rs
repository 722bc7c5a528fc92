//! The scripts in `dev/` and `deploy/`, in copies of the clone and with stand-ins for Docker and other tools. They need neither
//! Docker nor the services.

mod clone;
mod package;
mod services;
