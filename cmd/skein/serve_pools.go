package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"skein/cmd/skein/internal/server"
)

// pools is the part of serveCmd that concerns connections to Redis and to the
// object stores.
type pools struct {
	RedisPoolSize int           `help:"Connections to each Redis server at most; 10 for each core if not given." env:"SKEIN_REDIS_POOL_SIZE" placeholder:"N" group:"Cluster:"`
	RedisPoolMin  int           `help:"Connections to Redis that are opened at the start and kept." default:"4" env:"SKEIN_REDIS_POOL_MIN" placeholder:"N" group:"Cluster:"`
	RedisTimeout  time.Duration `help:"How long one call to Redis may take with its retries; 5s if not given, 15s with sentinels or a cluster." env:"SKEIN_REDIS_TIMEOUT" placeholder:"TIME" group:"Cluster:"`
	RedisReplicas int           `help:"Replicas of Redis that must have a change before it is acknowledged. If not given: all that are alive." env:"SKEIN_REDIS_REPLICAS" placeholder:"N" group:"Cluster:"`

	S3BackupAccessKey     string        `name:"s3-backup-access-key" help:"Access key of --s3-backup; that of --s3 if not given." env:"SKEIN_S3_BACKUP_ACCESS_KEY" placeholder:"TEXT" group:"Cluster:"`
	S3BackupSecretKey     string        `name:"s3-backup-secret-key" help:"Secret key of --s3-backup: prefer the environment or --s3-backup-secret-key-file." env:"SKEIN_S3_BACKUP_SECRET_KEY" placeholder:"TEXT" group:"Cluster:"`
	S3BackupSecretKeyFile string        `name:"s3-backup-secret-key-file" help:"File that holds the secret key of --s3-backup." env:"SKEIN_S3_BACKUP_SECRET_KEY_FILE" placeholder:"FILE" group:"Cluster:"`
	BackupGrace           time.Duration `help:"How long the backup keeps what is deleted." default:"168h" env:"SKEIN_BACKUP_GRACE" placeholder:"TIME" group:"Cluster:"`
	BackupHistory         time.Duration `help:"Time between copies of the index of tables with backup_enabled: the moments that they can go back to." default:"1h" env:"SKEIN_BACKUP_HISTORY" placeholder:"TIME" group:"Cluster:"`

	AlertWebhook   string        `help:"URL that gets a POST with JSON for each event that an operator should hear of: a failover, an endpoint that is down." env:"SKEIN_ALERT_WEBHOOK" placeholder:"URL" group:"Cluster:"`
	HealthInterval time.Duration `help:"Time between checks of Redis and the object stores." default:"30s" env:"SKEIN_HEALTH_INTERVAL" placeholder:"TIME" group:"Cluster:"`
}

func (p *pools) validate() error {
	switch {
	case p.RedisPoolSize < 0 || p.RedisPoolMin < 0 || p.RedisReplicas < 0 || p.RedisTimeout < 0:
		return errors.New("--redis-pool-size, --redis-pool-min, --redis-replicas and --redis-timeout must not be negative")
	case p.RedisPoolSize > 0 && p.RedisPoolMin > p.RedisPoolSize:
		return errors.New("--redis-pool-min must not be more than --redis-pool-size")
	case p.S3BackupSecretKey != "" && p.S3BackupSecretKeyFile != "":
		return errors.New("--s3-backup-secret-key and --s3-backup-secret-key-file exclude each other")
	case (p.S3BackupAccessKey == "") != (p.S3BackupSecretKey == "" && p.S3BackupSecretKeyFile == ""):
		return errors.New("--s3-backup-access-key needs one of --s3-backup-secret-key-file, SKEIN_S3_BACKUP_SECRET_KEY, --s3-backup-secret-key, and these need it")
	case p.BackupGrace <= 0 || p.HealthInterval <= 0 || p.BackupHistory <= 0:
		return errors.New("--backup-grace, --backup-history and --health-interval must be positive, such as 30s")
	}
	if u, err := url.Parse(p.AlertWebhook); p.AlertWebhook != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return errors.New("--alert-webhook: give a URL such as https://alerts.example.com/skein") // it may hold a secret
	}
	return nil
}

// into fills in the configuration of a server.
func (p *pools) into(c *server.Config) error {
	c.RedisPoolSize, c.RedisPoolMin, c.RedisTimeout, c.RedisReplicas = p.RedisPoolSize, p.RedisPoolMin, p.RedisTimeout, p.RedisReplicas
	c.S3BackupAccessKey, c.S3BackupSecretKey = p.S3BackupAccessKey, p.S3BackupSecretKey
	c.BackupGrace, c.BackupHistory, c.HealthEvery, c.AlertWebhook = p.BackupGrace, p.BackupHistory, p.HealthInterval, p.AlertWebhook
	if p.S3BackupSecretKeyFile != "" {
		secret, err := secretFile(p.S3BackupSecretKeyFile)
		if err != nil {
			return fmt.Errorf("--s3-backup-secret-key-file: %w", err)
		}
		c.S3BackupSecretKey = secret
	}
	return nil
}
