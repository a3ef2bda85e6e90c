package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// takeoverAfterMin is beyond the time between two heartbeats.
const takeoverAfterMin = 35 * time.Second

// Validate is called by kong.
func (c *serveCmd) Validate() error {
	for _, a := range []struct{ flag, addr string }{{"--grpc-addr", c.GRPCAddr}, {"--http-addr", c.HTTPAddr}} {
		host, _, err := net.SplitHostPort(a.addr)
		if err != nil {
			return fmt.Errorf("%s %s: want HOST:PORT, such as 127.0.0.1:8815", a.flag, a.addr)
		}
		if !isLoopback(host) && c.AuthFile == "" && !c.Insecure {
			return fmt.Errorf("%s %s can be reached from other machines and there is no authentication: "+
				"give --auth-file FILE, or listen on 127.0.0.1, or accept it with --insecure", a.flag, a.addr)
		}
	}
	if c.AdvertiseAddr != "" {
		if host, port, err := net.SplitHostPort(c.AdvertiseAddr); err != nil || host == "" || port == "" {
			return fmt.Errorf("--advertise-addr %s: want HOST:PORT that other nodes can reach", c.AdvertiseAddr)
		}
	}
	if host, _, _ := net.SplitHostPort(c.GRPCAddr); c.Redis != "" && c.AdvertiseAddr == "" && isEveryAddress(host) {
		return fmt.Errorf("--grpc-addr %s is every address of this machine: give --advertise-addr HOST:PORT, by which other nodes reach it", c.GRPCAddr)
	}
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key need each other")
	case c.S3SecretKey != "" && c.S3SecretKeyFile != "":
		return errors.New("--s3-secret-key and --s3-secret-key-file exclude each other")
	case c.Redis != "" && len(c.S3) == 0:
		return errors.New("--redis needs --s3: the nodes of a cluster share one object store")
	case len(c.S3Backup) > 0 && (len(c.S3) == 0 || c.Redis == ""):
		return errors.New("--s3-backup needs --s3 and --redis")
	case len(c.S3) > 0 && (c.S3AccessKey == "" || c.S3SecretKey == "" && c.S3SecretKeyFile == ""):
		return errors.New("--s3 needs --s3-access-key and one of --s3-secret-key-file, SKEIN_S3_SECRET_KEY, --s3-secret-key")
	case len(c.Roles) == 0:
		return errors.New("--roles needs at least one of coordinator, worker")
	case c.Threads < 0:
		return errors.New("--threads must not be negative")
	case c.TakeoverAfter != 0 && c.TakeoverAfter < takeoverAfterMin:
		return fmt.Errorf("--takeover-after must be at least %s, as nodes are heard of every 30s, or 0 for never", takeoverAfterMin)
	case c.QueriesMax < 1:
		return errors.New("--queries-max must be at least 1")
	case c.QueryMemory < 1:
		return errors.New("--query-memory must be at least 1 byte")
	case c.QueryTimeout <= 0:
		return errors.New("--query-timeout must be positive, such as 10m")
	}
	return errors.Join(c.validate(), c.Catalog.validate())
}

// isLoopback tells whether only this machine reaches the host of a listener;
// an empty host is every address.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// isEveryAddress tells a host that a listener may have, but nobody can call.
func isEveryAddress(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}
