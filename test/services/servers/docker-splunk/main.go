// Docker's own splunk log driver, outside of Docker: sends the lines of its standard input to the URL and with the token of its arguments.
package main

import (
	"bufio"
	"fmt"
	"os"
	"time"

	"github.com/docker/docker/daemon/logger"
	"github.com/docker/docker/daemon/logger/splunk"
)

func main() {
	driver, err := splunk.New(logger.Info{
		ContainerID:   "0123456789abcdef0123456789abcdef",
		ContainerName: "/demo",
		Config: map[string]string{
			"splunk-url":    os.Args[1],
			"splunk-token":  os.Args[2],
			"splunk-gzip":   "true",
			"splunk-format": "json",
			"splunk-source": "docker",
		},
	})
	if err != nil {
		fail(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		message := logger.NewMessage()
		message.Line = append(message.Line, lines.Bytes()...)
		message.Source = "stdout"
		message.Timestamp = time.Now()
		if err := driver.Log(message); err != nil {
			fail(err)
		}
	}
	if err := driver.Close(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
