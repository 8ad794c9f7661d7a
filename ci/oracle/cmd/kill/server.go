package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// startLimit bounds how long the service may take until it is ready.
const startLimit = 30 * time.Second

// service is the program under test: how it is run, and the process while there is one.
type service struct {
	binary, config, url string
	output              *os.File
	process             *exec.Cmd
	ended               chan struct{}
}

// spawn starts the process and does not wait until it is ready.
func (s *service) spawn() error {
	s.process = exec.Command(s.binary, "serve", "--config", s.config)
	s.process.Stdout = s.output
	s.process.Stderr = s.output
	if err := s.process.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	go func(process *exec.Cmd, ended chan struct{}) {
		// How it ended is read from its state; here it only has to be reaped.
		_ = process.Wait()
		close(ended)
	}(s.process, s.ended)
	return nil
}

// start starts the process and waits until it is ready.
func (s *service) start() error {
	if err := s.spawn(); err != nil {
		return err
	}
	client := &http.Client{Timeout: 2 * time.Second}
	deadline := time.After(startLimit)
	for {
		response, err := client.Get(s.url + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the service ended while it started: %s", s.process.ProcessState)
		case <-deadline:
			return fmt.Errorf("the service is not ready after %s", startLimit)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// kill ends the process at once, as a power failure would.
func (s *service) kill() error {
	if err := s.process.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.ended
	if status, ok := s.process.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		return fmt.Errorf("the service ended by itself: %s", s.process.ProcessState)
	}
	return nil
}

// stop asks the process to end and expects a clean exit.
func (s *service) stop() error {
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(startLimit):
		return fmt.Errorf("the service does not stop within %s", startLimit)
	}
	if !s.process.ProcessState.Success() {
		return fmt.Errorf("the service was asked to stop and ended with %s", s.process.ProcessState)
	}
	return nil
}

// abandon ends whatever still runs.
func (s *service) abandon() {
	if s.process == nil {
		return
	}
	select {
	case <-s.ended:
	default:
		_ = s.process.Process.Kill()
		<-s.ended
	}
}

// fsck runs the program's own check of the data directory.
func (s *service) fsck() error {
	output, err := exec.Command(s.binary, "fsck", "--config", s.config).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fsck: %w\n%s", err, output)
	}
	return nil
}
