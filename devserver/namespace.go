package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// prepareNamespace waits for the frontend, makes the namespace what the
// options say, and waits until calls in it succeed.
func prepareNamespace(ctx context.Context, o options) error {
	conn, err := grpc.NewClient(o.listen,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(serviceErrors),
	)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := waitForFrontend(ctx, conn); err != nil {
		return err
	}
	if err := register(ctx, workflowservice.NewWorkflowServiceClient(conn), o); err != nil {
		return fmt.Errorf("create namespace %s: %w", o.namespace, err)
	}
	if err := addAttributes(ctx, operatorservice.NewOperatorServiceClient(conn), o); err != nil {
		return fmt.Errorf("register search attributes: %w", err)
	}
	return poll(ctx, "namespace "+o.namespace, func() error {
		_, err := workflowservice.NewWorkflowServiceClient(conn).CountWorkflowExecutions(ctx,
			&workflowservice.CountWorkflowExecutionsRequest{Namespace: o.namespace, Query: o.usesAttributes()})
		return err
	})
}

// usesAttributes is a query that fails while an attribute is not known.
func (o options) usesAttributes() string {
	var terms []string
	for name := range o.searchAttributes {
		terms = append(terms, "`"+name+"` IS NULL")
	}
	return strings.Join(terms, " AND ")
}

// serviceErrors gives errors their Temporal types.
func serviceErrors(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, conn, opts...)
	return serviceerror.FromStatus(serviceerror.ToStatus(err))
}

func waitForFrontend(ctx context.Context, conn *grpc.ClientConn) error {
	return poll(ctx, "the frontend", func() error {
		resp, err := grpc_health_v1.NewHealthClient(conn).Check(ctx,
			&grpc_health_v1.HealthCheckRequest{Service: "temporal.api.workflowservice.v1.WorkflowService"},
			grpc.WaitForReady(true))
		if err == nil && resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			err = fmt.Errorf("status %s", resp.GetStatus())
		}
		return err
	})
}

// register creates the namespace, or gives an existing one the retention.
func register(ctx context.Context, c workflowservice.WorkflowServiceClient, o options) error {
	retention := durationpb.New(o.retention)
	_, err := c.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        o.namespace,
		WorkflowExecutionRetentionPeriod: retention,
	})
	if exists := (*serviceerror.NamespaceAlreadyExists)(nil); errors.As(err, &exists) {
		_, err = c.UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
			Namespace: o.namespace,
			Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: retention},
		})
	}
	return err
}

func addAttributes(ctx context.Context, c operatorservice.OperatorServiceClient, o options) error {
	if len(o.searchAttributes) == 0 {
		return nil
	}
	_, err := c.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace:        o.namespace,
		SearchAttributes: o.searchAttributes,
	})
	return err
}
